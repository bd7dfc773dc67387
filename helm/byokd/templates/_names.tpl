{{/* What things are called, and the labels by which they find each other. */}}

{{- define "byokd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters leave room for the longest suffix, "-migrate" and the pods' own. */}}
{{- define "byokd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "byokd.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "byokd.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes in the life of a release: selectors are immutable. */}}
{{- define "byokd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "byokd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* (dict "root" $ "component" "…"): a pod that is no server must not be taken for one by the Services. */}}
{{- define "byokd.labels" -}}
app.kubernetes.io/name: {{ include "byokd.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component | default "server" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "byokd.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "byokd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "byokd.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The fewest and the most pods at a time, apart from a rollout's. */}}
{{- define "byokd.fewest" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.minReplicas }}{{ else }}{{ .Values.replicaCount }}{{ end -}}
{{- end -}}
{{- define "byokd.most" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicaCount }}{{ end -}}
{{- end -}}

{{/* Whether there is a pod of `helm test`; beyond ClusterIP the Service has no admin port to ask. Empty: no. */}}
{{- define "byokd.tested" -}}
{{- if and .Values.test.enabled (eq .Values.service.type "ClusterIP") }}yes{{ end -}}
{{- end -}}

{{/* Whether anything is kept in the data folder. Empty: no. */}}
{{- define "byokd.embedded" -}}
{{- if or (eq .Values.database.type "sqlite") (eq .Values.kms.provider "local") }}yes{{ end -}}
{{- end -}}

{{- define "byokd.appProtocol" -}}
{{- if .Values.service.appProtocol -}}
{{- .Values.service.appProtocol -}}
{{- else if has .Values.tls.source (list "mesh" "none") -}}
kubernetes.io/h2c
{{- else -}}
https
{{- end -}}
{{- end -}}
