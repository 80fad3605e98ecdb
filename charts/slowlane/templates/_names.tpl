{{- /* What all templates call things. */}}
{{- define "slowlane.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- /* One keeper a release, told apart from another release's by its namespace too: cluster-wide names. */}}
{{- define "slowlane.selector" -}}
app.kubernetes.io/name: slowlane
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "slowlane.labels" -}}
{{ include "slowlane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "slowlane.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "slowlane.name" .) }}
{{- end }}

{{- /* The port that the settings tell the keeper to listen on. */}}
{{- define "slowlane.port" -}}
{{ .Values.settings.http.address | splitList ":" | last }}
{{- end }}
