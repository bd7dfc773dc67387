{{/* byokd.toml: what this chart sets, over `config`. */}}

{{/* As JSON. A section of `config` and one of ours never hold the same key: see _checks.tpl. */}}
{{- define "byokd.settings" -}}
{{- $v := .Values -}}
{{- $listen := ternary "127.0.0.1" $v.listenAddress (eq $v.tls.source "none") -}}
{{- $server := dict
    "listen" (printf "%s:50051" $listen)
    "admin_listen" (printf "%s:9464" $v.listenAddress)
    "data_dir" "/var/lib/byokd/data" -}}
{{- if eq $v.tls.source "mesh" }}{{ $_ := set $server "plaintext" "mesh" }}{{ end -}}

{{- $tls := dict -}}
{{- if eq $v.tls.source "files" -}}
{{- $_ := set $tls "cert_file" $v.tls.files.cert -}}
{{- $_ := set $tls "key_file" $v.tls.files.key -}}
{{- else if has $v.tls.source (list "secret" "certManager") -}}
{{- $_ := set $tls "cert_file" "/etc/byokd/tls/tls.crt" -}}
{{- $_ := set $tls "key_file" "/etc/byokd/tls/tls.key" -}}
{{- end -}}
{{- if and $tls (ne $v.tls.clientCertificates "off") -}}
{{- $_ := set $tls "client_certificates" $v.tls.clientCertificates -}}
{{- if $v.tls.clientCaConfigMap -}}
{{- $_ := set $tls "client_ca_file" "/etc/byokd/client-ca/ca.crt" -}}
{{- else -}}
{{- $_ := set $tls "client_ca_file" (ternary $v.tls.files.clientCa "/etc/byokd/tls/ca.crt" (eq $v.tls.source "files")) -}}
{{- end -}}
{{- end -}}

{{- $database := dict "migrate" (ternary "startup" "none" (eq $v.migrations.mode "startup")) -}}
{{- if eq $v.database.type "postgresql" -}}
{{- $_ := set $database "url_file" (default "/etc/byokd/secrets/database/url" $v.database.urlFile) -}}
{{- if $v.database.listenUrlKey }}{{ $_ := set $database "listen_url_file" "/etc/byokd/secrets/database/listen-url" }}{{ end -}}
{{- end -}}

{{- $kms := dict -}}
{{- if eq $v.kms.provider "aws" }}{{ $_ := set $kms "key" $v.kms.key }}{{ end -}}

{{- $audit := dict "mode" $v.audit.mode -}}
{{- if eq $v.audit.output "stdout" }}{{ $_ := set $audit "file" "-" }}{{ end -}}
{{- if $v.audit.keyFile -}}
{{- $_ := set $audit "key_file" $v.audit.keyFile -}}
{{- else if $v.audit.existingSecret -}}
{{- $_ := set $audit "key_file" "/etc/byokd/secrets/audit/key" -}}
{{- end -}}

{{- $ours := dict "server" $server "tls" $tls "database" $database "kms" $kms "audit" $audit -}}
{{- $merged := dict -}}
{{- range $section := concat (keys $v.config) (keys $ours) | uniq -}}
{{- $settings := merge (dict) (default dict (get $ours $section)) (default dict (get $v.config $section)) -}}
{{- if $settings }}{{ $_ := set $merged $section $settings }}{{ end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end -}}

{{- define "byokd.toml" -}}
{{- $settings := include "byokd.settings" . | fromJson -}}
{{- range $section := keys $settings | sortAlpha }}
[{{ $section }}]
{{- $values := get $settings $section }}
{{- range $key := keys $values | sortAlpha }}
{{- $value := get $values $key }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }} = {{ include "byokd.toml.value" $value }}
{{- end }}
{{- end }}
{{ end }}
{{- end -}}

{{/* Helm's toToml writes whole numbers as floats, which byokd refuses. Texts, numbers and lists are the same in JSON and
     TOML; a list gets a line for each item. */}}
{{- define "byokd.toml.value" -}}
{{- if kindIs "slice" . -}}
{{- if or (empty .) (not (kindIs "map" (first .))) -}}
{{ toRawJson . }}
{{- else -}}
[{{ range . }}
  {{ include "byokd.toml.table" . }},{{ end }}
]
{{- end -}}
{{- else if kindIs "map" . -}}
{{ include "byokd.toml.table" . }}
{{- else -}}
{{ toRawJson . }}
{{- end -}}
{{- end -}}

{{/* On one line, as TOML wants it. */}}
{{- define "byokd.toml.table" -}}
{{- $table := . -}}
{{- $items := list -}}
{{- range $key := keys $table | sortAlpha -}}
{{- $value := get $table $key -}}
{{- if kindIs "map" $value -}}
{{- $items = append $items (printf "%s = %s" (toRawJson $key) (include "byokd.toml.table" $value)) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $items = append $items (printf "%s = %s" (toRawJson $key) (toRawJson $value)) -}}
{{- end -}}
{{- end -}}
{ {{ join ", " $items }} }
{{- end -}}
