module ovn-k8s.example/lab/netcheck

go 1.24
