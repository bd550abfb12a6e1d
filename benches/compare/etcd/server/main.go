// etcd's server as its authors publish it, with nothing added: its module has a main package that
// the Go tool refuses to install, because it names other modules by their place beside it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
