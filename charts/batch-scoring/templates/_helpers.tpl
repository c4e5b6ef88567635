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
