#!/usr/bin/env bash
# Build Kubeflow Pipelines' backend, Argo, Kubernetes' API server and etcd: build.sh SOURCE BUILD
# SOURCE is a clone of github.com/kubeflow/pipelines at 2.17.0, which is left as it is; binaries go to BUILD/bin. Half an hour on two cores.
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2/bin"
build=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
kubernetes=1.34.4 etcd=3.6.16 argo=4.0.5
export GOFLAGS=-mod=mod

kubeflow() { # binary, package: of the clone
  [ -x "$build/bin/$1" ] || (cd "$source" && go build -modfile="$build/go.mod" -o "$build/bin/$1" "$2")
}

program() { # binary, module, version, what to do before it is built: BINARY.go as a module of its own
  [ -x "$build/bin/$1" ] && return
  rm -rf "${build:?}/$1" && mkdir "$build/$1"
  (
    cd "$build/$1"
    cp "$here/$1.go" main.go
    go mod init "$1"
    go mod edit -require="$2@v$3"
    "$4" "$2" "$3"
    go mod tidy
    go build -o "$build/bin/$1" .
  )
}

nothing() { :; }

staged() { # Kubernetes' own go.mod points at folders that its module doesn't hold; the same versions are modules of their own.
  go mod download "$1@v$2"
  sed -n '/^replace (/,/^)/p' "$(go env GOMODCACHE)/$1@v$2/go.mod" | awk '/=>/ {print $1}' | while read -r part; do
    go mod edit -replace="$part=$part@v0.${2#1.}"
  done
}

# Go's module proxy serves one release of Argo 4, another than go.mod asks for.
cp "$source/go.mod" "$source/go.sum" "$build/"
(cd "$build" && go mod edit -require="github.com/argoproj/argo-workflows/v4@v$argo")
kubeflow launcher-v2 ./backend/src/v2/cmd/launcher-v2
kubeflow driver ./backend/src/v2/cmd/driver
kubeflow apiserver ./backend/src/apiserver
kubeflow persistence ./backend/src/agent/persistence
kubeflow scheduledworkflow ./backend/src/crd/controller/scheduledworkflow

# Argo's module lacks a file for Linux, which its release has; that for macOS does the same.
if ! [ -x "$build/bin/argoexec" ] || ! [ -x "$build/bin/workflow-controller" ]; then
  module=$(go env GOMODCACHE)/github.com/argoproj/argo-workflows/v4@v$argo
  rm -rf "$build/argo" && cp -r "$module" "$build/argo" && chmod -R u+w "$build/argo"
  cp "$build/argo/workflow/executor/osspecific/signal_darwin.go" "$build/argo/workflow/executor/osspecific/signal_linux.go"
  (cd "$build/argo" && go build -o "$build/bin/argoexec" ./cmd/argoexec && go build -o "$build/bin/workflow-controller" ./cmd/workflow-controller)
fi

program etcd go.etcd.io/etcd/server/v3 "$etcd" nothing
program kube-apiserver k8s.io/kubernetes "$kubernetes" staged
echo "built: $(ls "$build/bin" | tr '\n' ' ')"
