"""The rendered objects, one promise at a time."""

import unittest

import chart
from chart import PRODUCTION, merged
from combinations import CERTIFICATE, COMBINATIONS, DEV, ROUTED, TOKENS, WATCHED


def of(*layers):
    return chart.objects(merged(PRODUCTION, *layers))


def kinds(found):
    return {kind for kind, _ in found}


class Objects(unittest.TestCase):
    def test_a_disruption_budget_is_for_more_than_one_replica(self):
        self.assertIn("PodDisruptionBudget", kinds(of({"replicaCount": 2})))
        self.assertNotIn("PodDisruptionBudget", kinds(of({"replicaCount": 1})))
        scaled = {"autoscaling": {"enabled": True}}
        self.assertIn("PodDisruptionBudget", kinds(of({"replicaCount": 1}, scaled)))
        self.assertNotIn("PodDisruptionBudget", kinds(of(scaled, {"autoscaling": {"minReplicas": 1}})))

    def test_an_autoscaler_and_the_chart_do_not_fight_over_replicas(self):
        self.assertEqual(of()["Deployment", "byokd"]["spec"]["replicas"], 3)
        found = of({"autoscaling": {"enabled": True}})
        self.assertNotIn("replicas", found["Deployment", "byokd"]["spec"])
        self.assertEqual(found["HorizontalPodAutoscaler", "byokd"]["spec"]["scaleTargetRef"]["name"], "byokd")

    def test_other_settings_make_new_pods_and_the_same_ones_do_not(self):
        def checksum(*layers):
            return of(*layers)["Deployment", "byokd"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

        self.assertEqual(checksum(), checksum({"replicaCount": 5}))
        self.assertNotEqual(checksum(), checksum({"config": {"resolution": {"lease_seconds": 61}}}))

    def test_byokd_toml_says_what_the_values_say(self):
        config = {"checks": {"per_provider_per_second": 1234567}, "auth": TOKENS, "kms": {"previous_keys": ["alias/a", "alias/b"]}}
        read = chart.settings(of({"config": config}))
        self.assertEqual(read["checks"], {"per_provider_per_second": 1234567})
        self.assertIsInstance(read["checks"]["per_provider_per_second"], int)
        self.assertEqual(read["auth"], TOKENS)
        self.assertEqual(read["kms"], {"key": "alias/byokd", "previous_keys": ["alias/a", "alias/b"]})
        self.assertEqual(read["log"], {"format": "json"})

    def test_where_it_listens_and_who_encrypts(self):
        tls = {"source": "mesh"}
        cases = {
            "production": ({}, "0.0.0.0:50051", "https", None),
            "IPv6": ({"listenAddress": "[::]"}, "[::]:50051", "https", None),
            "mesh": ({"tls": tls, "config": {"auth": TOKENS}}, "0.0.0.0:50051", "kubernetes.io/h2c", "mesh"),
        }
        for name, (values, listen, protocol, plaintext) in cases.items():
            with self.subTest(name):
                found = of(values)
                read = chart.settings(found)
                self.assertEqual(read["server"]["listen"], listen)
                self.assertEqual(read["server"].get("plaintext"), plaintext)
                self.assertEqual("tls" in read, plaintext is None)
                for service in ("byokd", "byokd-headless"):
                    self.assertEqual(found["Service", service]["spec"]["ports"][0]["appProtocol"], protocol)
        loopback = chart.settings(chart.objects(DEV))["server"]
        self.assertEqual((loopback["listen"], loopback["admin_listen"]), ("127.0.0.1:50051", "0.0.0.0:9464"))

    def test_the_headless_service_has_no_address_and_no_metrics(self):
        found = of(WATCHED)
        headless = found["Service", "byokd-headless"]["spec"]
        self.assertEqual(headless["clusterIP"], "None")
        self.assertEqual([port["name"] for port in headless["ports"]], ["grpc"])
        (endpoint,) = found["ServiceMonitor", "byokd"]["spec"]["endpoints"]
        self.assertIn(endpoint["port"], [port["name"] for port in found["Service", "byokd"]["spec"]["ports"]])

    def test_the_admin_port_is_not_published(self):
        ports = of({"service": {"type": "LoadBalancer"}})["Service", "byokd"]["spec"]["ports"]
        self.assertEqual([port["name"] for port in ports], ["grpc"])

    def test_probes_ask_the_admin_port_and_liveness_the_process_alone(self):
        for kind, probe in (("http", {"httpGet": {"path": "/readyz", "port": "admin"}}), ("grpc", {"grpc": {"port": 9464}})):
            (container,) = chart.deployment(of({"probes": {"readiness": kind}}))["containers"]
            self.assertLessEqual(probe.items(), container["readinessProbe"].items())
            for name in ("startupProbe", "livenessProbe"):
                self.assertEqual(container[name]["httpGet"], {"path": "/livez", "port": "admin"})

    def test_a_migration_stands_on_nothing_of_the_release(self):
        found = chart.objects(COMBINATIONS["migration by a Job"])
        job = found["Job", "byokd-migrate"]
        spec = job["spec"]["template"]["spec"]
        for key in (("Job", "byokd-migrate"), ("ServiceAccount", "byokd-migrate"), ("NetworkPolicy", "byokd-migrate")):
            annotations = found[key]["metadata"]["annotations"]
            self.assertEqual(annotations["helm.sh/hook"], "pre-install,pre-upgrade", key)
            self.assertEqual(annotations["helm.sh/hook-delete-policy"], "before-hook-creation", key)
        weights = {key[0]: int(found[key]["metadata"]["annotations"]["helm.sh/hook-weight"]) for key in found if key[1] == "byokd-migrate"}
        self.assertLess(weights["ServiceAccount"], weights["Job"])
        self.assertLess(weights["NetworkPolicy"], weights["Job"])
        self.assertEqual(spec["serviceAccountName"], "byokd-migrate")
        ours = {name for kind, name in found if kind in ("ConfigMap", "Secret", "PersistentVolumeClaim")}
        for volume in spec["volumes"]:
            self.assertNotIn(volume.get("configMap", {}).get("name"), ours)
        (secret,) = (volume["secret"] for volume in spec["volumes"] if "secret" in volume)
        self.assertEqual(secret["secretName"], "byokd-owner")
        self.assertEqual(secret["items"], [{"key": "owner-url", "path": "url"}])
        for limit in ("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
            self.assertGreater(job["spec"][limit], 0, limit)
        self.assertEqual(chart.settings(found)["database"]["migrate"], "none")
        self.assertEqual(chart.settings(of())["database"]["migrate"], "startup")
        self.assertNotIn("Job", kinds(of()))

    def test_embedded_data_are_never_held_by_two_pods(self):
        found = chart.objects(DEV)
        self.assertEqual(found["Deployment", "byokd"]["spec"]["strategy"], {"type": "Recreate"})
        self.assertIn(("PersistentVolumeClaim", "byokd-data"), found)
        strategy = of()["Deployment", "byokd"]["spec"]["strategy"]
        self.assertEqual(strategy["rollingUpdate"]["maxUnavailable"], 0)

    def test_a_new_pod_does_not_wait_for_a_volume_that_the_old_one_holds(self):
        def strategy(volume):
            audit = {"audit": {"output": "file", "volume": volume}, "replicaCount": 1}
            return of(audit)["Deployment", "byokd"]["spec"]["strategy"]["type"]

        self.assertEqual(strategy({"accessMode": "ReadWriteOnce"}), "Recreate")
        self.assertEqual(strategy({"accessMode": "ReadWriteOncePod"}), "Recreate")
        self.assertEqual(strategy({}), "RollingUpdate")
        self.assertEqual(strategy({"accessMode": "ReadWriteOnce", "existingClaim": "audit"}), "RollingUpdate")

    def test_no_sidecar_keeps_a_pod_from_ending_that_should(self):
        values = COMBINATIONS["mesh, with a migration by a Job"]
        for found, expected in ((chart.objects(values), True), (chart.objects(COMBINATIONS["migration by a Job"]), False)):
            pods = {name: metadata for name, metadata, _ in chart.pod_specs(found)}
            for name in ("Job byokd-migrate", "Pod byokd-test"):
                istio = pods[name]["labels"].get("sidecar.istio.io/inject") == "false"
                linkerd = pods[name].get("annotations", {}).get("linkerd.io/inject") == "disabled"
                self.assertEqual((istio, linkerd), (expected, expected), name)
            server = pods["Deployment byokd"]
            self.assertNotIn("sidecar.istio.io/inject", server["labels"])
            self.assertNotIn("linkerd.io/inject", server["annotations"])

    def test_each_pod_has_an_audit_file_of_its_own(self):
        (container,) = chart.deployment(of({"audit": {"output": "file", "mode": "durable"}}))["containers"]
        variables = {variable["name"]: variable.get("value") for variable in container["env"]}
        self.assertEqual(variables["BYOKD__AUDIT__FILE"], "/var/log/byokd/$(POD_NAME).jsonl")
        names = [variable["name"] for variable in container["env"]]
        self.assertLess(names.index("POD_NAME"), names.index("BYOKD__AUDIT__FILE"))
        self.assertEqual(chart.settings(of())["audit"]["file"], "-")

    def test_secrets_are_files_and_for_the_group_alone(self):
        found = of(CERTIFICATE, {"database": {"listenUrlKey": "direct"}})
        spec = chart.deployment(found)
        for volume in spec["volumes"]:
            if "secret" in volume:
                self.assertEqual(volume["secret"]["defaultMode"], 0o440)
        self.assertEqual(spec["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch")
        self.assertNotIn("Secret", kinds(found))
        (container,) = spec["containers"]
        self.assertFalse([v for v in container["env"] if "secretKeyRef" in v.get("valueFrom", {})])

    def test_the_certificate_is_for_every_name_and_its_secret_is_mounted(self):
        found = of(CERTIFICATE)
        certificate = found["Certificate", "byokd"]["spec"]
        for name in ("byokd", "byokd-headless.keys", "byokd.keys.svc", "byokd-headless.keys.svc.cluster.local", "byokd.example.com"):
            self.assertIn(name, certificate["dnsNames"])
        mounted = [volume["secret"]["secretName"] for volume in chart.deployment(found)["volumes"] if "secret" in volume]
        self.assertIn(certificate["secretName"], mounted)

    def test_operators_calls_are_not_routed(self):
        (rule,) = of(ROUTED)["GRPCRoute", "byokd"]["spec"]["rules"]
        self.assertEqual([match["method"]["service"] for match in rule["matches"]], ["byok.v1.KeyService"])

    def test_the_network_is_closed_but_for_what_is_named(self):
        egress = of()["NetworkPolicy", "byokd"]["spec"]["egress"]
        self.assertEqual([[port["port"] for port in rule["ports"]] for rule in egress], [[53, 53], [5432], [443]])
        blocks = [peer["ipBlock"] for peer in egress[2]["to"]]
        self.assertIn("169.254.0.0/16", blocks[0]["except"])
        otlp = of(WATCHED)["NetworkPolicy", "byokd"]["spec"]["egress"][-1]
        self.assertEqual(otlp["ports"], [{"port": 4317, "protocol": "TCP"}])

    def test_the_admin_port_is_for_prometheus_and_the_test_alone(self):
        def peers(*layers):
            ingress = of(*layers)["NetworkPolicy", "byokd"]["spec"]["ingress"]
            return [rule["from"] for rule in ingress if rule["ports"] == [{"port": 9464, "protocol": "TCP"}]]

        labels = of()["Pod", "byokd-test"]["metadata"]["labels"]
        ((test,),) = peers()
        self.assertEqual(list(test), ["podSelector"])
        self.assertLessEqual(test["podSelector"]["matchLabels"].items(), labels.items())
        self.assertEqual(peers(WATCHED), [[*WATCHED["networkPolicy"]["monitoring"], test]])
        # An empty list of peers would allow all.
        untested = {"test": {"enabled": False}}
        self.assertEqual(peers(untested), [])
        self.assertEqual(peers(WATCHED, untested), [WATCHED["networkPolicy"]["monitoring"]])

    def test_two_releases_are_two_jobs_of_prometheus(self):
        found = of(WATCHED)
        label = found["ServiceMonitor", "byokd"]["spec"]["jobLabel"]
        self.assertEqual(label, "app.kubernetes.io/instance")
        self.assertEqual(found["Service", "byokd"]["metadata"]["labels"][label], "byokd")

    def test_alerts_and_dashboard_are_the_files_and_lead_to_the_runbooks(self):
        found = of(WATCHED)
        rules = [rule for group in found["PrometheusRule", "byokd"]["spec"]["groups"] for rule in group["rules"]]
        shipped = chart.CHART / "files"
        self.assertGreater(len(rules), 0)
        for rule in rules:
            self.assertTrue(rule["annotations"]["runbook_url"].startswith("https://git.example.com/byokd/blob/main/docs/runbooks/"))
        expressions = [rule["expr"].strip() for rule in rules]
        text = (shipped / "alerts.yaml").read_text()
        for expression in expressions:
            self.assertIn(expression.splitlines()[0], text)
        dashboard = found["ConfigMap", "byokd-dashboard"]
        self.assertEqual(dashboard["data"]["byokd.json"].strip(), (shipped / "dashboard.json").read_text().strip())
        self.assertEqual(dashboard["metadata"]["labels"]["grafana_dashboard"], "1")

    def test_the_test_pod_asks_through_the_service(self):
        pod = of()["Pod", "byokd-test"]
        self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
        self.assertEqual(pod["spec"]["containers"][0]["args"], ["healthcheck", "--admin", "$(BYOKD_SERVICE_HOST):9464"])
        named = of({"fullnameOverride": "the-keys", "listenAddress": "[::]"})["Pod", "the-keys-test"]
        self.assertIn("[$(THE_KEYS_SERVICE_HOST)]:9464", named["spec"]["containers"][0]["args"])

    def test_the_notes_begin_with_a_call_that_fits(self):
        cases = {
            "production": ({}, ["-cert client.crt", "byok.v1.KeyService/ResolveCredentials", "networkPolicy.kms"], ["WARNING"]),
            "tokens": ({"tls": {"clientCertificates": "off"}}, ["Bearer $(cat token)"], ["client.crt", "-plaintext"]),
            "mesh": ({"tls": {"source": "mesh"}}, ["-plaintext", "Bearer"], ["client.crt"]),
            "route": (ROUTED, ["give it a client certificate", "tls.clientCertificates to optional"], []),
            "route for tokens": (merged(ROUTED, {"tls": {"clientCertificates": "optional"}}), [], ["client certificate"]),
            "one replica": ({"replicaCount": 1}, ["WARNING: one replica"], []),
            "migrations": ({"migrations": {"mode": "none"}}, ["byokd migrate up"], []),
        }
        for name, (values, says, says_not) in cases.items():
            with self.subTest(name):
                notes = chart.notes(merged(PRODUCTION, values))
                for text in says:
                    self.assertIn(text, notes)
                for text in says_not:
                    self.assertNotIn(text, notes)
        self.assertIn("byokd token --role resolver", chart.notes(DEV))


if __name__ == "__main__":
    unittest.main()
