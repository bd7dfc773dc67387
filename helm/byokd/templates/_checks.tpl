{{/* What is refused before anything is rendered. All faults at once; each names the value to change and what to set it to. */}}

{{- define "byokd.checks" -}}
{{- $faults := concat
    (include "byokd.faults.owned" . | fromJsonArray)
    (include "byokd.faults.missing" . | fromJsonArray)
    (include "byokd.faults.together" . | fromJsonArray)
    (include "byokd.faults.objects" . | fromJsonArray) -}}
{{- if eq .Values.profile "production" }}{{ $faults = concat $faults (include "byokd.faults.production" . | fromJsonArray) }}{{ end -}}
{{- if $faults }}{{ fail (printf "\n\nthese values do not make a byokd:\n  - %s\n" (join "\n  - " $faults)) }}{{ end -}}
{{- end -}}

{{/* Settings of byokd that values of this chart's own decide. */}}
{{- define "byokd.faults.owned" -}}
{{- $faults := list -}}
{{- $owned := dict
    "server.listen" "listenAddress" "server.admin_listen" "listenAddress" "server.data_dir" "data.volume"
    "server.plaintext" "tls.source: mesh" "tls.cert_file" "tls" "tls.key_file" "tls" "tls.client_ca_file" "tls"
    "tls.client_certificates" "tls.clientCertificates" "database.url_file" "database.urlFile"
    "database.listen_url_file" "database.listenUrlKey" "database.migrate" "migrations.mode" "kms.key" "kms.key"
    "kms.key_file" "data.volume" "audit.file" "audit.output" "audit.key_file" "audit.existingSecret"
    "audit.mode" "audit.mode" -}}
{{- range $setting := keys $owned | sortAlpha -}}
{{- $at := splitList "." $setting -}}
{{- if hasKey (default dict (get $.Values.config (first $at))) (last $at) -}}
{{- $faults = append $faults (printf "config.%s is decided by the chart: set %s instead" $setting (get $owned $setting)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "BYOKD_" (upper .name) -}}
{{- $faults = append $faults (printf "extraEnv sets %s, which goes before every value of this chart: use config instead" .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "byokd.faults.missing" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- if not $v.image.repository -}}
{{- $faults = append $faults "image.repository is missing: set it to where you pushed byokd's image, e.g. registry.example.com/byokd" -}}
{{- end -}}
{{- if not $v.tls.source -}}
{{- $faults = append $faults "tls.source is missing: set it to secret, certManager or files, or to mesh if a service mesh encrypts" -}}
{{- end -}}
{{- if and (eq $v.tls.source "secret") (not $v.tls.existingSecret) -}}
{{- $faults = append $faults "tls.existingSecret is missing: set it to the name of a Secret of type kubernetes.io/tls" -}}
{{- end -}}
{{- if and (eq $v.tls.source "certManager") (not $v.tls.certManager.issuerRef.name) -}}
{{- $faults = append $faults "tls.certManager.issuerRef is missing: set it to e.g. {name: internal-ca, kind: ClusterIssuer}" -}}
{{- end -}}
{{- if and (eq $v.tls.source "files") (not (and $v.tls.files.cert $v.tls.files.key)) -}}
{{- $faults = append $faults "tls.files.cert and tls.files.key are missing: set them to paths in a volume of extraVolumes" -}}
{{- end -}}
{{- if and (eq $v.tls.source "files") (ne $v.tls.clientCertificates "off") (not (or $v.tls.files.clientCa $v.tls.clientCaConfigMap)) -}}
{{- $faults = append $faults "tls.files.clientCa is missing: set it to the path of who signs callers' certificates, or tls.clientCertificates to off" -}}
{{- end -}}
{{- if and (eq $v.database.type "postgresql") (not (or $v.database.existingSecret $v.database.urlFile)) -}}
{{- $faults = append $faults "database.existingSecret is missing: set it to the name of a Secret whose key database.urlKey holds postgres://user:password@host:5432/database?sslmode=verify-full" -}}
{{- end -}}
{{- if and (eq $v.kms.provider "aws") (not $v.kms.key) -}}
{{- $faults = append $faults "kms.key is missing: set it to a key of AWS KMS, by its ARN, its id or alias/…" -}}
{{- end -}}
{{- if and (not (and (eq $v.database.type "sqlite") (eq $v.kms.provider "local"))) (not (or $v.audit.existingSecret $v.audit.keyFile)) -}}
{{- $faults = append $faults "audit.existingSecret is missing: set it to the name of a Secret whose key audit.secretKey holds what `openssl rand -hex 32` prints" -}}
{{- end -}}
{{- if and (ne $v.tls.source "none") (not (dig "auth" "rules" list $v.config)) (ne (dig "auth" "embedded" "" $v.config) "allow") -}}
{{- $faults = append $faults "config.auth.rules is missing: say who may call, e.g. [{certificate: \"spiffe://example.org/ns/agents/*\", roles: [resolver], workspaces: [\"*\"]}]" -}}
{{- end -}}
{{- if and $v.grpcRoute.enabled (not $v.grpcRoute.parentRefs) -}}
{{- $faults = append $faults "grpcRoute.parentRefs is missing: set it to your Gateway, e.g. [{name: internal, namespace: gateways}]" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* Values that are each good, but not beside each other. */}}
{{- define "byokd.faults.together" -}}
{{- $v := .Values -}}
{{- $most := int (include "byokd.most" .) -}}
{{- $faults := list -}}
{{- if and $v.database.existingSecret $v.database.urlFile -}}
{{- $faults = append $faults "database.existingSecret and database.urlFile exclude each other: leave one out" -}}
{{- end -}}
{{- if and $v.database.listenUrlKey (not $v.database.existingSecret) -}}
{{- $faults = append $faults "database.listenUrlKey is a key of database.existingSecret, which is not set" -}}
{{- end -}}
{{- if and $v.audit.existingSecret $v.audit.keyFile -}}
{{- $faults = append $faults "audit.existingSecret and audit.keyFile exclude each other: leave one out" -}}
{{- end -}}
{{- if and (eq $v.database.type "sqlite") (gt $most 1) -}}
{{- $faults = append $faults (printf "database.type is sqlite, which one replica alone can use, and there would be %d: set replicaCount to 1 and autoscaling.enabled to false, or use postgresql" $most) -}}
{{- end -}}
{{- if and (eq $v.kms.provider "local") (gt $most 1) -}}
{{- $faults = append $faults (printf "kms.provider is local, a key file that one replica alone has, and there would be %d: set replicaCount to 1 and autoscaling.enabled to false, or use aws" $most) -}}
{{- end -}}
{{- if and (eq $v.database.type "sqlite") (ne $v.migrations.mode "startup") -}}
{{- $faults = append $faults (printf "migrations.mode is %s, but a SQLite file serves one process only: set it to startup" $v.migrations.mode) -}}
{{- end -}}
{{- if and (eq $v.migrations.mode "job") (not (or $v.migrations.job.existingSecret $v.database.existingSecret)) (eq $v.database.type "postgresql") -}}
{{- $faults = append $faults "migrations.job.existingSecret is missing: the Job has no volume for database.urlFile; set it to a Secret that exists before the release" -}}
{{- end -}}
{{- if and (eq $v.audit.mode "durable") (ne $v.audit.output "file") -}}
{{- $faults = append $faults "audit.mode is durable, but byokd cannot sync standard output to disk: set audit.output to file, or audit.mode to buffered" -}}
{{- end -}}
{{- if and (eq $v.audit.output "file") (gt $most 1) (not $v.audit.volume.existingClaim) (ne $v.audit.volume.accessMode "ReadWriteMany") -}}
{{- $faults = append $faults (printf "audit.volume.accessMode is %s, but there would be %d replicas: set it to ReadWriteMany, name a claim of yours in audit.volume.existingClaim, or set audit.output to stdout" $v.audit.volume.accessMode $most) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $faults = append $faults (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d: set the first to the second at most" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and $v.podDisruptionBudget.enabled (has (toString $v.podDisruptionBudget.maxUnavailable) (list "0" "0%")) -}}
{{- $faults = append $faults "podDisruptionBudget.maxUnavailable is 0, which holds up every drain of a node: set it to 1 or more, or podDisruptionBudget.enabled to false" -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (ne $v.service.type "ClusterIP") -}}
{{- $faults = append $faults (printf "metrics.serviceMonitor reads the admin port of the Service, which a %s does not have: set service.type to ClusterIP, and publish the contract by grpcRoute" $v.service.type) -}}
{{- end -}}
{{- if and $v.grpcRoute.enabled (eq $v.tls.source "none") -}}
{{- $faults = append $faults "grpcRoute leads to a byokd that listens on loopback alone, by tls.source none: set tls.source to secret, certManager or files, or to mesh if a service mesh encrypts" -}}
{{- end -}}
{{- $delay := divf (float64 (dig "server" "shutdown_delay_ms" 5000 $v.config)) 1000 -}}
{{- if lt (float64 $v.terminationGracePeriodSeconds) (addf $delay 40) -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds is %d, which ends running calls: set it to %d at least (config.server.shutdown_delay_ms, 25 s for calls, 15 s to close audit, database and telemetry)" (int $v.terminationGracePeriodSeconds) (int (ceil (addf $delay 40)))) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* What extraObjects render, which the schema cannot see. */}}
{{- define "byokd.faults.objects" -}}
{{- $faults := list -}}
{{- range .Values.extraObjects -}}
{{- range $document := splitList "\n---" (tpl (toYaml .) $) -}}
{{- $kind := get ($document | fromYaml) "kind" -}}
{{- if eq $kind "Secret" -}}
{{- $faults = append $faults "extraObjects renders a Secret, which the release would hold: make it outside of the chart, or let an ExternalSecret make it" -}}
{{- else if has $kind (list "List" "SecretList") -}}
{{- $faults = append $faults (printf "extraObjects renders a %s, which may hold a Secret: name its items one by one" $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "byokd.faults.production" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- if eq $v.tls.source "none" -}}
{{- $faults = append $faults "tls.source is none: keys would travel in clear text. Set it to secret, certManager or files, or to mesh if a service mesh encrypts" -}}
{{- end -}}
{{- if and (eq $v.tls.source "mesh") (ne $v.service.type "ClusterIP") -}}
{{- $faults = append $faults (printf "service.type is %s and tls.source mesh: callers outside the mesh would read keys in clear text; set service.type to ClusterIP and publish by a gateway of the mesh, or give byokd TLS" $v.service.type) -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.networkPolicy.enabled (not $v.networkPolicy.monitoring) -}}
{{- $faults = append $faults "networkPolicy.monitoring is missing: say where Prometheus is, e.g. [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}
{{- if eq $v.kms.provider "local" -}}
{{- $faults = append $faults "kms.provider is local: who reads the volume reads every key. Set it to aws, and kms.key" -}}
{{- end -}}
{{- range $path := list "requests.cpu" "requests.memory" "limits.memory" -}}
{{- $at := splitList "." $path -}}
{{- if not (get (default dict (get (default dict $v.resources) (first $at))) (last $at)) -}}
{{- $faults = append $faults (printf "resources.%s is missing: a byokd without it is the first to go when a node is short, or takes others with it" $path) -}}
{{- end -}}
{{- end -}}
{{- $faults = concat $faults (include "byokd.faults.hardening" . | fromJsonArray) -}}
{{- if eq (dig "auth" "embedded" "" $v.config) "allow" -}}
{{- $faults = append $faults "config.auth.embedded is allow, which is for a single private machine: leave it out, and name issuers or certificates in config.auth" -}}
{{- end -}}
{{- if dig "egress" "loopback_http" false $v.config -}}
{{- $faults = append $faults "config.egress.loopback_http is for development: leave it out" -}}
{{- end -}}
{{- if and (eq $v.image.tag "latest") (not $v.image.digest) -}}
{{- $faults = append $faults "image.tag is latest, which is another image tomorrow: set a version, or image.digest" -}}
{{- end -}}
{{- if $faults }}{{ $faults = append $faults "(profile is production; dev allows what the lines about clear text, local KMS, resources and hardening refuse)" }}{{ end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* PSS restricted. What the container says goes before what the pod says. */}}
{{- define "byokd.faults.hardening" -}}
{{- $pod := default dict .Values.podSecurityContext -}}
{{- $container := default dict .Values.securityContext -}}
{{- $capabilities := default dict $container.capabilities -}}
{{- $faults := list -}}
{{- if ne (toString (ternary $container.runAsNonRoot $pod.runAsNonRoot (hasKey $container "runAsNonRoot"))) "true" -}}
{{- $faults = append $faults "podSecurityContext.runAsNonRoot is off: set it to true" -}}
{{- end -}}
{{- range $name, $context := dict "podSecurityContext" $pod "securityContext" $container -}}
{{- if eq (toString $context.runAsUser) "0" -}}
{{- $faults = append $faults (printf "%s.runAsUser is 0, which is root: set it to 65532" $name) -}}
{{- end -}}
{{- end -}}
{{- $seccomp := dig "type" "missing" (default (default dict $pod.seccompProfile) $container.seccompProfile) -}}
{{- if not (has $seccomp (list "RuntimeDefault" "Localhost")) -}}
{{- $faults = append $faults (printf "podSecurityContext.seccompProfile is %s: set it to {type: RuntimeDefault}" $seccomp) -}}
{{- end -}}
{{- if not $container.readOnlyRootFilesystem -}}
{{- $faults = append $faults "securityContext.readOnlyRootFilesystem is off: set it to true" -}}
{{- end -}}
{{- if ne (toString $container.allowPrivilegeEscalation) "false" -}}
{{- $faults = append $faults "securityContext.allowPrivilegeEscalation is on: set it to false" -}}
{{- end -}}
{{- if not (has "ALL" (default list $capabilities.drop)) -}}
{{- $faults = append $faults "securityContext.capabilities.drop lacks ALL: set it to [ALL]" -}}
{{- end -}}
{{- if $capabilities.add -}}
{{- $faults = append $faults (printf "securityContext.capabilities.add gives %s, which byokd does not need: leave it out" (join ", " $capabilities.add)) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
