"""Values that users combine. Each is rendered and checked in every way that `manifests.py` knows; those in
GOLDEN are also compared, to the letter, with a reviewed file."""

from chart import EXAMPLES, PRODUCTION, example, merged

DEV = {
    "profile": "dev",
    "image": {"repository": "byokd"},
    "tls": {"source": "none"},
    "database": {"type": "sqlite"},
    "kms": {"provider": "local"},
    "replicaCount": 1,
}
ISSUER = {
    "issuer": "https://login.example.com",
    "audience": "byokd",
    "algorithms": ["ES256", "EdDSA"],
    "jwks_url": "https://login.example.com/jwks",
}
TOKENS = {
    "issuers": [ISSUER],
    "rules": [
        {
            "issuer": ISSUER["issuer"],
            "claims": {"/kubernetes.io/namespace": "agents", 'odd "claim" \\ <&>': "tab\tand ünïcode"},
            "roles_claim": "roles",
            "workspaces_claim": "org",
        }
    ],
}
WATCHED = {
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "runbookBase": "https://git.example.com/byokd/blob/main/"},
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "LLM"}},
    },
    "telemetry": {"otlp": {"endpoint": "http://collector.monitoring:4317"}},
    "networkPolicy": {
        "monitoring": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    },
}
ROUTED = {
    "grpcRoute": {
        "enabled": True,
        "parentRefs": [{"name": "internal", "namespace": "gateways"}],
        "hostnames": ["byokd.example.com"],
    }
}
CERTIFICATE = {
    "tls": {
        "source": "certManager",
        "existingSecret": "",
        "certManager": {"issuerRef": {"name": "ca", "kind": "ClusterIssuer"}, "dnsNames": ["byokd.example.com"]},
    }
}
PEERS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agents"}}}]

COMBINATIONS = {
    "production": PRODUCTION,
    "one replica": merged(PRODUCTION, {"replicaCount": 1}),
    "digest": merged(PRODUCTION, {"image": {"digest": "sha256:" + "ab" * 32, "pullSecrets": [{"name": "registry"}]}}),
    "tag": merged(PRODUCTION, {"image": {"tag": "0.1.1", "pullPolicy": "Always"}}),
    "certificate of cert-manager": merged(PRODUCTION, CERTIFICATE),
    "certificate without callers' certificates": merged(
        PRODUCTION, CERTIFICATE, {"tls": {"clientCertificates": "off"}, "config": {"auth": TOKENS}}
    ),
    "another CA for callers": merged(
        PRODUCTION, {"tls": {"clientCaConfigMap": "callers-ca", "clientCertificates": "optional"}}
    ),
    "mesh": merged(PRODUCTION, {"tls": {"source": "mesh", "existingSecret": ""}, "config": {"auth": TOKENS}}),
    "mesh, with a migration by a Job": merged(
        PRODUCTION, {"tls": {"source": "mesh"}, "config": {"auth": TOKENS}, "migrations": {"mode": "job"}}
    ),
    "mesh of Istio": merged(
        PRODUCTION, {"tls": {"source": "mesh"}, "service": {"appProtocol": "grpc"}, "config": {"auth": TOKENS}}
    ),
    "migration by a Job": merged(
        PRODUCTION,
        {
            "migrations": {"mode": "job", "job": {"existingSecret": "byokd-owner", "urlKey": "owner-url"}},
            "database": {"caConfigMap": "rds-ca"},
            "config": {"database": {"pooler": "transaction"}},
        },
    ),
    "migration by a Job of Argo CD": merged(
        PRODUCTION,
        {
            "migrations": {"mode": "job", "job": {"annotations": {"argocd.argoproj.io/sync-wave": "-1"}}},
            "networkPolicy": {"enabled": False},
        },
    ),
    "migration by another release": merged(PRODUCTION, {"migrations": {"mode": "none"}}),
    "pooler": merged(
        PRODUCTION,
        {"database": {"listenUrlKey": "direct"}, "config": {"database": {"pooler": "transaction"}}},
    ),
    "audit on a volume, durable": merged(
        PRODUCTION, {"audit": {"output": "file", "mode": "durable", "volume": {"storageClass": "efs"}}}
    ),
    "audit on a volume of one node": merged(
        PRODUCTION, {"replicaCount": 1, "audit": {"output": "file", "volume": {"accessMode": "ReadWriteOnce"}}}
    ),
    "audit on a claim": merged(PRODUCTION, {"audit": {"output": "file", "volume": {"existingClaim": "audit"}}}),
    "autoscaling": merged(
        PRODUCTION,
        {"autoscaling": {"enabled": True, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}},
    ),
    "autoscaling from one": merged(PRODUCTION, {"autoscaling": {"enabled": True, "minReplicas": 1}}),
    "no disruption budget": merged(PRODUCTION, {"podDisruptionBudget": {"enabled": False}}),
    "watched": merged(PRODUCTION, WATCHED),
    "routed": merged(PRODUCTION, ROUTED),
    "native gRPC probe": merged(PRODUCTION, {"probes": {"readiness": "grpc"}}),
    "IPv6": merged(PRODUCTION, {"listenAddress": "[::]"}),
    "load balancer": merged(PRODUCTION, {"service": {"type": "LoadBalancer", "port": 443, "headless": False}}),
    "IRSA": merged(
        PRODUCTION,
        {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/byokd"}}},
    ),
    "Pod Identity": merged(PRODUCTION, {"networkPolicy": {"podIdentity": True}}),
    "a service account of yours": merged(
        PRODUCTION, {"serviceAccount": {"create": False, "name": "keys", "automountToken": True}}
    ),
    "closed network": merged(
        PRODUCTION,
        {
            "networkPolicy": {
                "clients": PEERS,
                "monitoring": PEERS,
                "database": [{"ipBlock": {"cidr": "10.0.20.0/24"}}],
                "kms": [{"ipBlock": {"cidr": "10.0.30.0/24"}}],
                "providers": [],
                "databasePort": 6432,
                "extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}], "to": PEERS}],
                "extraIngress": [{"ports": [{"port": 15008, "protocol": "TCP"}]}],
            }
        },
    ),
    "user namespace": merged(PRODUCTION, {"hostUsers": False, "priorityClassName": "critical"}),
    "names": merged(
        PRODUCTION,
        {"nameOverride": "keys", "fullnameOverride": "the-keys", "commonLabels": {"team": "llm"}},
    ),
    "scheduling": merged(
        PRODUCTION,
        {
            "nodeSelector": {"pool": "llm"},
            "tolerations": [{"key": "llm", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "topologySpreadConstraints": [],
            "updateStrategy": {"rollingUpdate": {"maxSurge": "50%"}},
        },
    ),
    "extras": merged(
        PRODUCTION,
        {
            "extraEnv": [
                {"name": "OTEL_TRACES_SAMPLER_ARG", "value": "0.1"},
                {
                    "name": "OTEL_EXPORTER_OTLP_HEADERS",
                    "valueFrom": {"secretKeyRef": {"name": "otlp", "key": "headers"}},
                },
                {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/mnt/token"},
            ],
            "extraEnvFrom": [{"secretRef": {"name": "byokd-aws"}}],
            "extraVolumes": [{"name": "catalog", "configMap": {"name": "catalog"}}],
            "extraVolumeMounts": [{"name": "catalog", "mountPath": "/etc/byokd/catalog", "readOnly": True}],
            "extraObjects": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "catalog"}, "data": {"a": "{{ 1 }}"}}
            ],
            "podAnnotations": {"a": "b"},
            "podLabels": {"c": "d"},
            "lifecycle": {"preStop": {"exec": {"command": ["byokd", "version"]}}},
            "config": {"catalog": {"file": "/etc/byokd/catalog/catalog.toml"}},
            "test": {"enabled": False},
        },
    ),
    "every setting": merged(
        PRODUCTION,
        {
            "config": {
                "server": {"reflection": "on"},
                "limits": {"calls": 4000, "connections": 1000000},
                "kms": {"region": "eu-central-1", "previous_keys": ["alias/old"], "calls_per_second": 100},
                "resolution": {"unknown_workspace": "refuse", "lease_seconds": 300},
                "egress": {"private_hosts": ["llm.internal"]},
                "log": {"format": "pretty", "filter": "info,byokd=debug"},
                "audit": {"retention_days": 30},
            }
        },
    ),
    "dev": DEV,
    "dev without a volume": merged(DEV, {"data": {"volume": {"enabled": False}}, "resources": None}),
    "dev on a claim": merged(DEV, {"data": {"volume": {"existingClaim": "byokd"}}}),
    "SQLite in production": merged(PRODUCTION, {"database": {"type": "sqlite"}, "replicaCount": 1}),
    "everything": merged(
        PRODUCTION,
        CERTIFICATE,
        WATCHED,
        ROUTED,
        {"autoscaling": {"enabled": True}, "migrations": {"mode": "job"}, "hostUsers": False},
    ),
} | {f"example {path.stem}": example(path) for path in EXAMPLES}

GOLDEN = ["production", "everything", "mesh", "dev", "closed network", "migration by a Job"] + [
    f"example {path.stem}" for path in EXAMPLES
]
