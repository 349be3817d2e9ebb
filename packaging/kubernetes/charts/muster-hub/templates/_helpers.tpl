{{- define "muster-hub.name" -}}
{{- if contains "muster-hub" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-muster-hub" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "muster-hub.selector" -}}
app.kubernetes.io/name: muster-hub
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "muster-hub.labels" -}}
{{ include "muster-hub.selector" . }}
app.kubernetes.io/part-of: muster
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}
