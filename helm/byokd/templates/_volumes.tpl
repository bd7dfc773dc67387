{{/* What byokd reads and writes. Everything is mounted as files: an environment is shown by too many tools. */}}

{{/* Whether the chart's claim for the audit stream is for one node, or one pod, at a time. Empty: no. */}}
{{- define "byokd.auditOfOneNode" -}}
{{- $audit := .Values.audit -}}
{{- if and (eq $audit.output "file") (not $audit.volume.existingClaim) (ne $audit.volume.accessMode "ReadWriteMany") }}yes{{ end -}}
{{- end -}}

{{- define "byokd.mounts" -}}
{{- $v := .Values -}}
- { name: config, mountPath: /etc/byokd/config, readOnly: true }
- { name: tmp, mountPath: /tmp }
- { name: data, mountPath: /var/lib/byokd }
{{- if and (eq $v.database.type "postgresql") $v.database.existingSecret }}
- { name: database, mountPath: /etc/byokd/secrets/database, readOnly: true }
{{- end }}
{{- if $v.database.caConfigMap }}
- { name: database-ca, mountPath: /etc/byokd/database-ca, readOnly: true }
{{- end }}
{{- if $v.audit.existingSecret }}
- { name: audit-key, mountPath: /etc/byokd/secrets/audit, readOnly: true }
{{- end }}
{{- if eq $v.audit.output "file" }}
- { name: audit, mountPath: /var/log/byokd }
{{- end }}
{{- if has $v.tls.source (list "secret" "certManager") }}
- { name: tls, mountPath: /etc/byokd/tls, readOnly: true }
{{- end }}
{{- if $v.tls.clientCaConfigMap }}
- { name: client-ca, mountPath: /etc/byokd/client-ca, readOnly: true }
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* 0440: root's, and fsGroup's to read; a pod that is not root could read 0400 not at all. */}}
{{- define "byokd.volumes" -}}
{{- $v := .Values -}}
- name: config
  configMap: { name: {{ include "byokd.fullname" . }} }
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
- name: data
  {{- if and (include "byokd.embedded" .) $v.data.volume.enabled }}
  persistentVolumeClaim: { claimName: {{ default (printf "%s-data" (include "byokd.fullname" .)) $v.data.volume.existingClaim }} }
  {{- else if include "byokd.embedded" . }}
  emptyDir: {}
  {{- else }}
  emptyDir: { sizeLimit: 64Mi }
  {{- end }}
{{- if and (eq $v.database.type "postgresql") $v.database.existingSecret }}
- name: database
  secret:
    secretName: {{ $v.database.existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ $v.database.urlKey }}, path: url }
      {{- with $v.database.listenUrlKey }}
      - { key: {{ . }}, path: listen-url }
      {{- end }}
{{- end }}
{{- with $v.database.caConfigMap }}
- name: database-ca
  configMap: { name: {{ . }} }
{{- end }}
{{- with $v.audit.existingSecret }}
- name: audit-key
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - { key: {{ $v.audit.secretKey }}, path: key }
{{- end }}
{{- if eq $v.audit.output "file" }}
- name: audit
  persistentVolumeClaim: { claimName: {{ default (printf "%s-audit" (include "byokd.fullname" .)) $v.audit.volume.existingClaim }} }
{{- end }}
{{- if has $v.tls.source (list "secret" "certManager") }}
- name: tls
  secret:
    secretName: {{ ternary $v.tls.existingSecret (printf "%s-tls" (include "byokd.fullname" .)) (eq $v.tls.source "secret") }}
    defaultMode: 0440
{{- end }}
{{- with $v.tls.clientCaConfigMap }}
- name: client-ca
  configMap: { name: {{ . }} }
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
