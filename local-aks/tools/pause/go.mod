// The process that holds a pod's namespaces. It needs nothing but the standard library.
module batchscoring.dev/local-aks/tools/pause

go 1.26.0
