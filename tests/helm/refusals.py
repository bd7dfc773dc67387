"""Refused values: those outside the schema, and those that do not make a safe byokd."""

import unittest

import chart
from chart import PRODUCTION, merged
from combinations import DEV, ROUTED, TOKENS, WATCHED

KEY = "sk-proj-SYNTHETIC-0123456789abcdef"

# Changes to PRODUCTION, and the place and text of the schema's objection.
SCHEMA = {
    "a key under a name of its own": ({"openaiApiKey": KEY}, "additional properties 'openaiApiKey' not allowed"),
    "a key of the platform": ({"config": {"platform": {"openai": KEY}}}, "at '/config': additional properties"),
    "a password beside the Secret": ({"database": {"password": "x"}}, "at '/database': additional properties 'password'"),
    "the database's URL": ({"config": {"database": {"url": "postgres://db/byokd"}}}, "at '/config/database'"),
    "the audit key itself": ({"audit": {"key": "ab" * 32}}, "at '/audit': additional properties 'key' not allowed"),
    "the audit key as a name": ({"audit": {"existingSecret": "ab" * 32}}, "at '/audit/existingSecret': 'not' failed"),
    "a key in a variable": ({"extraEnv": [{"name": "X", "value": KEY}]}, "at '/extraEnv/0/value': 'not' failed"),
    "a password in a variable": (
        {"extraEnv": [{"name": "PGPASSWORD", "value": "hunter2"}]},
        "at '/extraEnv/0/value'",
    ),
    "credentials of AWS in a variable": (
        {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2"}]},
        "at '/extraEnv/0/value'",
    ),
    "headers of OTLP in a variable": (
        {"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "x=hunter2"}]},
        "at '/extraEnv/0/value'",
    ),
    "a password in a URL, deep in a sidecar": (
        {"extraInitContainers": [{"name": "x", "env": [{"name": "A", "value": "postgres://a:hunter2@db/x"}]}]},
        "at '/extraInitContainers/0/env/0/value': 'not' failed",
    ),
    "a password in the endpoint of OTLP": (
        {"telemetry": {"otlp": {"endpoint": "http://user:hunter2@collector:4317"}}},
        "at '/telemetry/otlp/endpoint'",
    ),
    "the password instead of the Secret's name": (
        {"database": {"existingSecret": "hunter2-SYNTHETIC"}},
        "at '/database/existingSecret': 'not' failed",
    ),
    "the URL instead of the file's path": (
        {"database": {"urlFile": "host=db password=hunter2"}},
        "at '/database/urlFile': 'not' failed",
    ),
    "a private key in an annotation": (
        {"podAnnotations": {"x": "-----BEGIN EC PRIVATE KEY-----\nhunter2"}},
        "at '/podAnnotations/x': 'not' failed",
    ),
    "a key of Groq in an annotation": ({"podAnnotations": {"x": "gsk_SYNTHETIC0123456789"}}, "at '/podAnnotations/x': 'not' failed"),
    "a key of xAI in an annotation": ({"podAnnotations": {"x": "xai-SYNTHETIC0123456789"}}, "at '/podAnnotations/x': 'not' failed"),
    "a key of Google in an annotation": (
        {"podAnnotations": {"x": "AIzaSYNTHETIC0123456789abcdefghijklmnop"}},
        "at '/podAnnotations/x': 'not' failed",
    ),
    "a token in an annotation": (
        {"podAnnotations": {"x": "eyJTWU5USEVUSUM.eyJTWU5USEVUSUM.SYNTHETIC"}},
        "at '/podAnnotations/x': 'not' failed",
    ),
    "a password as libpq writes it": (
        {"extraObjects": [{"kind": "ConfigMap", "data": {"dsn": "host=db PASSWORD=hunter2"}}]},
        "at '/extraObjects/0/data/dsn': 'not' failed",
    ),
    "a List among the objects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "List", "items": []}]},
        "at '/extraObjects/0/kind': 'not' failed",
    ),
    "a Secret among the objects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}]},
        "at '/extraObjects/0/kind': 'not' failed",
    ),
    "a misspelt name": ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    "a misspelt name, further down": ({"image": {"sha": "x"}}, "at '/image': additional properties 'sha' not allowed"),
    "an unknown section of byokd": ({"config": {"limit": {}}}, "at '/config': additional properties 'limit' not allowed"),
    "an unknown setting of byokd": ({"config": {"limits": {"call": 1}}}, "at '/config/limits': additional properties"),
    "a protocol of OTLP": ({"telemetry": {"otlp": {"protocol": "grpc"}}}, "at '/telemetry/otlp': additional properties 'protocol'"),
    "a lease that is too long": ({"config": {"resolution": {"lease_seconds": 301}}}, "maximum: got 301, want 300"),
    "an unknown role": ({"config": {"auth": {"rules": [{"roles": ["root"]}]}}}, "at '/config/auth/rules/0/roles/0'"),
    "an unknown profile": ({"profile": "staging"}, "at '/profile': value must be one of 'production', 'dev'"),
    "an unknown source of TLS": ({"tls": {"source": "yes"}}, "at '/tls/source': value must be one of"),
    "a digest that is none": ({"image": {"digest": "sha256:abc"}}, "at '/image/digest'"),
    "no replicas": ({"replicaCount": 0}, "at '/replicaCount': minimum: got 0, want 1"),
    "a number for a text": ({"kms": {"key": 5}}, "at '/kms/key': got number, want string"),
    "a label that selects": ({"podLabels": {"app.kubernetes.io/name": "x"}}, "invalid propertyName 'app.kubernetes.io/name'"),
}

# Values, and the sentence with the remedy.
FAULTS = {
    "nothing at all": (
        {},
        "image.repository is missing: set it to",
        "tls.source is missing: set it to secret, certManager or files, or to mesh",
        "database.existingSecret is missing: set it to the name of a Secret",
        "kms.key is missing: set it to a key of AWS KMS",
        "audit.existingSecret is missing: set it to the name of a Secret",
        "config.auth.rules is missing: say who may call",
    ),
    "no Secret of TLS": (merged(PRODUCTION, {"tls": {"existingSecret": ""}}), "tls.existingSecret is missing: set it to"),
    "no issuer": (merged(PRODUCTION, {"tls": {"source": "certManager"}}), "tls.certManager.issuerRef is missing: set it to"),
    "no files of TLS": (
        merged(PRODUCTION, {"tls": {"source": "files"}}),
        "tls.files.cert and tls.files.key are missing: set them to",
        "tls.files.clientCa is missing: set it to the path",
    ),
    "no Gateway": (merged(PRODUCTION, {"grpcRoute": {"enabled": True}}), "grpcRoute.parentRefs is missing: set it to"),
    "a setting of byokd as a variable": (
        merged(PRODUCTION, {"extraEnv": [{"name": "BYOKD__AUTH__EMBEDDED", "value": "allow"}]}),
        "extraEnv sets BYOKD__AUTH__EMBEDDED, which goes before every value of this chart: use config instead",
    ),
    "settings of byokd as variables, however they are written": (
        merged(
            PRODUCTION,
            {
                "extraEnv": [
                    {"name": "byokd__server__plaintext", "value": "mesh"},
                    {"name": "BYOKD__TLS__CERT_FILE", "value": ""},
                    {"name": "BYOKD_CONFIG", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "x"}}},
                ]
            },
        ),
        "extraEnv sets byokd__server__plaintext, which goes before every value of this chart: use config instead",
        "extraEnv sets BYOKD__TLS__CERT_FILE, which",
        "extraEnv sets BYOKD_CONFIG, which",
    ),
    "a Secret that a template makes": (
        merged(PRODUCTION, {"extraObjects": [{"apiVersion": "v1", "kind": '{{ print "Sec" "ret" }}', "metadata": {"name": "x"}}]}),
        "extraObjects renders a Secret, which the release would hold: make it outside of the chart",
    ),
    "a List that a template makes": (
        merged(PRODUCTION, {"extraObjects": [{"apiVersion": "v1", "kind": '{{ print "Li" "st" }}', "items": []}]}),
        "extraObjects renders a List, which may hold a Secret: name its items one by one",
    ),
    "a route to loopback": (
        merged(DEV, ROUTED),
        "grpcRoute leads to a byokd that listens on loopback alone, by tls.source none: set tls.source to secret",
    ),
    "a mesh that is published": (
        merged(PRODUCTION, {"tls": {"source": "mesh"}, "service": {"type": "LoadBalancer"}}),
        "service.type is LoadBalancer and tls.source mesh: callers outside the mesh would read keys in clear text; set "
        "service.type to ClusterIP and publish by a gateway of the mesh, or give byokd TLS",
    ),
    "a mesh that is published on the nodes": (
        merged(PRODUCTION, {"tls": {"source": "mesh"}, "service": {"type": "NodePort"}}),
        "service.type is NodePort and tls.source mesh: callers outside the mesh would read keys in clear text",
    ),
    "a Prometheus that may be anywhere": (
        merged(PRODUCTION, {"metrics": {"serviceMonitor": {"enabled": True}}}),
        "networkPolicy.monitoring is missing: say where Prometheus is",
    ),
    "clear text": (merged(PRODUCTION, {"tls": {"source": "none"}}), "tls.source is none: keys would travel in clear text. Set it to"),
    "a local KMS key": (
        merged(PRODUCTION, {"kms": {"provider": "local"}, "replicaCount": 1}),
        "kms.provider is local: who reads the volume reads every key. Set it to aws",
    ),
    "a local KMS key and three replicas": (
        merged(DEV, {"replicaCount": 3, "database": {"type": "postgresql", "existingSecret": "x"}, "audit": {"existingSecret": "x"}}),
        "kms.provider is local, a key file that one replica alone has, and there would be 3: set replicaCount to 1",
    ),
    "SQLite and three replicas": (
        merged(PRODUCTION, {"database": {"type": "sqlite"}}),
        "database.type is sqlite, which one replica alone can use, and there would be 3: set replicaCount to 1",
    ),
    "SQLite and an autoscaler, also for a trial": (
        merged(DEV, {"autoscaling": {"enabled": True, "minReplicas": 1}}),
        "database.type is sqlite, which one replica alone can use, and there would be 10: set",
        "kms.provider is local, a key file that one replica alone has, and there would be 10: set",
    ),
    "SQLite and a Job": (
        merged(PRODUCTION, {"database": {"type": "sqlite"}, "replicaCount": 1, "migrations": {"mode": "job"}}),
        "migrations.mode is job, but a SQLite file serves one process only: set it to startup",
    ),
    "no resources": (
        merged(PRODUCTION, {"resources": None}),
        "resources.requests.cpu is missing",
        "resources.requests.memory is missing",
        "resources.limits.memory is missing",
    ),
    "no limit of memory": (merged(PRODUCTION, {"resources": {"limits": None}}), "resources.limits.memory is missing"),
    "as root": (
        merged(PRODUCTION, {"podSecurityContext": {"runAsNonRoot": False}, "securityContext": {"runAsNonRoot": False}}),
        "podSecurityContext.runAsNonRoot is off: set it to true",
    ),
    "as root for the container alone": (
        merged(PRODUCTION, {"securityContext": {"runAsNonRoot": False}}),
        "podSecurityContext.runAsNonRoot is off: set it to true",
    ),
    "as user 0": (
        merged(PRODUCTION, {"podSecurityContext": {"runAsUser": 0}}),
        "podSecurityContext.runAsUser is 0, which is root: set it to 65532",
    ),
    "as user 0 for the container alone": (
        merged(PRODUCTION, {"securityContext": {"runAsUser": 0}}),
        "securityContext.runAsUser is 0, which is root: set it to 65532",
    ),
    "no hardening of the pod": (
        merged(PRODUCTION, {"podSecurityContext": None}),
        "podSecurityContext.seccompProfile is missing: set it to {type: RuntimeDefault}",
    ),
    "every system call": (
        merged(PRODUCTION, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        "podSecurityContext.seccompProfile is Unconfined: set it to {type: RuntimeDefault}",
    ),
    "no hardening of the container": (
        merged(PRODUCTION, {"securityContext": None}),
        "securityContext.readOnlyRootFilesystem is off: set it to true",
        "securityContext.allowPrivilegeEscalation is on: set it to false",
        "securityContext.capabilities.drop lacks ALL: set it to [ALL]",
    ),
    "capabilities that stay": (
        merged(PRODUCTION, {"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}}),
        "securityContext.capabilities.drop lacks ALL: set it to [ALL]",
    ),
    "capabilities that come": (
        merged(PRODUCTION, {"securityContext": {"capabilities": {"add": ["SYS_ADMIN", "NET_RAW"]}}}),
        "securityContext.capabilities.add gives SYS_ADMIN, NET_RAW, which byokd does not need: leave it out",
    ),
    "a root file system that can be written": (
        merged(PRODUCTION, {"securityContext": {"readOnlyRootFilesystem": False}}),
        "securityContext.readOnlyRootFilesystem is off: set it to true",
    ),
    "more rights": (
        merged(PRODUCTION, {"securityContext": {"allowPrivilegeEscalation": True}}),
        "securityContext.allowPrivilegeEscalation is on: set it to false",
    ),
    "the embedded signer": (
        merged(PRODUCTION, {"config": {"auth": {"embedded": "allow"}}}),
        "config.auth.embedded is allow, which is for a single private machine: leave it out",
    ),
    "providers in clear text": (
        merged(PRODUCTION, {"config": {"egress": {"loopback_http": True}}}),
        "config.egress.loopback_http is for development: leave it out",
    ),
    "the latest image": (merged(PRODUCTION, {"image": {"tag": "latest"}}), "image.tag is latest, which is another image tomorrow: set"),
    "two sources of the URL": (
        merged(PRODUCTION, {"database": {"urlFile": "/mnt/url"}}),
        "database.existingSecret and database.urlFile exclude each other: leave one out",
    ),
    "two sources of the audit key": (
        merged(PRODUCTION, {"audit": {"keyFile": "/mnt/key"}}),
        "audit.existingSecret and audit.keyFile exclude each other: leave one out",
    ),
    "a Job without a Secret": (
        merged(PRODUCTION, {"database": {"existingSecret": "", "urlFile": "/mnt/url"}, "migrations": {"mode": "job"}}),
        "migrations.job.existingSecret is missing",
    ),
    "a key of no Secret": (
        merged(PRODUCTION, {"database": {"existingSecret": "", "urlFile": "/mnt/url", "listenUrlKey": "direct"}}),
        "database.listenUrlKey is a key of database.existingSecret, which is not set",
    ),
    "durable on standard output": (
        merged(PRODUCTION, {"audit": {"mode": "durable"}}),
        "set audit.output to file, or audit.mode to buffered",
    ),
    "one disk for three": (
        merged(PRODUCTION, {"audit": {"output": "file", "volume": {"accessMode": "ReadWriteOnce"}}}),
        "audit.volume.accessMode is ReadWriteOnce, but there would be 3 replicas: set it to ReadWriteMany",
    ),
    "more at least than at most": (
        merged(PRODUCTION, {"autoscaling": {"enabled": True, "minReplicas": 11}}),
        "autoscaling.minReplicas is 11 and autoscaling.maxReplicas 10: set",
    ),
    "a budget that holds up drains": (
        merged(PRODUCTION, {"podDisruptionBudget": {"maxUnavailable": 0}}),
        "podDisruptionBudget.maxUnavailable is 0, which holds up every drain of a node: set it to 1",
    ),
    "no time to end": (
        merged(PRODUCTION, {"terminationGracePeriodSeconds": 44}),
        "terminationGracePeriodSeconds is 44, which ends running calls: set it to 45 at least (config.server.shutdown_delay_ms, 25 s for calls, 15 s to close",
    ),
    "no time for a long delay": (
        merged(PRODUCTION, {"config": {"server": {"shutdown_delay_ms": 15500}}}),
        "terminationGracePeriodSeconds is 45, which ends running calls: set it to 56 at least",
    ),
    "metrics where there are none": (
        merged(PRODUCTION, WATCHED, {"service": {"type": "NodePort"}}),
        "metrics.serviceMonitor reads the admin port of the Service, which a NodePort does not have: set service.type",
    ),
}

# Settings of byokd that the chart decides, each with the value that does.
OWNED = {
    "server.listen": "listenAddress",
    "server.admin_listen": "listenAddress",
    "server.data_dir": "data.volume",
    "server.plaintext": "tls.source: mesh",
    "tls.cert_file": "tls",
    "tls.key_file": "tls",
    "tls.client_ca_file": "tls",
    "tls.client_certificates": "tls.clientCertificates",
    "database.url_file": "database.urlFile",
    "database.listen_url_file": "database.listenUrlKey",
    "database.migrate": "migrations.mode",
    "kms.key": "kms.key",
    "kms.key_file": "data.volume",
    "audit.file": "audit.output",
    "audit.mode": "audit.mode",
    "audit.key_file": "audit.existingSecret",
}


class Refusals(unittest.TestCase):
    def test_the_schema_refuses_by_name_and_never_shows_a_secret(self):
        for name, (values, message) in SCHEMA.items():
            with self.subTest(name):
                said = chart.refusal(merged(PRODUCTION, values))
                self.assertIn("values don't meet the specifications of the schema", said)
                self.assertIn(message, said)
                for secret in ("SYNTHETIC", "hunter2", "abab"):
                    self.assertNotIn(secret, said)
        print(f"{len(SCHEMA)} values refused by the schema")

    def test_every_fault_says_what_to_set(self):
        for name, (values, *sentences) in FAULTS.items():
            with self.subTest(name):
                said = chart.refusal(values)
                for sentence in sentences:
                    self.assertIn(sentence, said)
                lines = [line for line in said.splitlines() if line.startswith("  - ") and "profile is" not in line]
                self.assertEqual(len(lines), len(sentences), said)
        print(f"{len(FAULTS)} combinations refused with a sentence")

    def test_settings_of_the_chart_are_refused_among_those_of_byokd(self):
        config = {}
        for setting in OWNED:
            section, key = setting.split(".")
            config.setdefault(section, {})[key] = "x"
        said = chart.refusal(merged(PRODUCTION, {"config": config}))
        for setting, value in OWNED.items():
            self.assertIn(f"config.{setting} is decided by the chart: set {value} instead", said)

    def test_dev_allows_what_production_refuses(self):
        hardening = ("as root", "as user 0", "no hardening of the pod", "no hardening of the container", "capabilities that come")
        for name in ("clear text", "a mesh that is published", "no resources", *hardening, "the latest image", "the embedded signer"):
            with self.subTest(name):
                values, *_ = FAULTS[name]
                chart.rendered(merged(values, {"profile": "dev"}))

    def test_rules_may_be_for_tokens_alone(self):
        chart.rendered(merged(PRODUCTION, {"config": {"auth": TOKENS}}))


if __name__ == "__main__":
    unittest.main()
