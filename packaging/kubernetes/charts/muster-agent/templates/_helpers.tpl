{{- define "muster-agent.name" -}}
{{- if contains "muster-agent" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-muster-agent" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Of objects that are the cluster's: another release of this name may be in another namespace. */}}
{{- define "muster-agent.clusterName" -}}
{{ printf "%s-%s" (include "muster-agent.name" .) .Release.Namespace }}
{{- end -}}

{{- define "muster-agent.selector" -}}
app.kubernetes.io/name: muster-agent
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "muster-agent.labels" -}}
{{ include "muster-agent.selector" . }}
app.kubernetes.io/part-of: muster
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}
