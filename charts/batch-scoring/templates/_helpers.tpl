{{- define "batch-scoring.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "batch-scoring.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "batch-scoring.fullname" .) -}}
{{- end -}}

{{- define "batch-scoring.placeholders" -}}
{{- printf "%s-placeholder" (include "batch-scoring.fullname" .) -}}
{{- end -}}

{{- define "batch-scoring.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "batch-scoring.labels" -}}
{{ include "batch-scoring.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Deployment, ConfigMap and ServiceAccount of ingest: examples/ingest name the Deployment. */}}
{{- define "batch-scoring.ingest" -}}
{{- printf "%s-ingest" (include "batch-scoring.fullname" .) -}}
{{- end -}}

{{- define "batch-scoring.ingestServiceAccountName" -}}
{{- if .Values.ingest.serviceAccount.create -}}
{{- .Values.ingest.serviceAccount.name | default (include "batch-scoring.ingest" .) -}}
{{- else -}}
{{- .Values.ingest.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "batch-scoring.ingestSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: ingest
{{- end -}}

{{- define "batch-scoring.ingestLabels" -}}
{{ include "batch-scoring.ingestSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
