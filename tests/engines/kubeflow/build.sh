#!/usr/bin/env bash
# Build Kubeflow Pipelines' backend, Argo, Kubernetes' API server and etcd: build.sh SOURCE BUILD
# SOURCE is a clone of github.com/kubeflow/pipelines at 2.17.0, which is left as it is; binaries go to BUILD/bin. Half an hour on two cores.
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2/bin"
build=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
argo=4.0.5
export GOFLAGS=-mod=mod

kubeflow() { # binary, package: of the clone
  [ -x "$build/bin/$1" ] || (cd "$source" && go build -modfile="$build/go.mod" -o "$build/bin/$1" "$2")
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

(cd "$here/../kubernetes/servers" && GOFLAGS= go build -o "$build/bin/" ./etcd ./kube-apiserver)
echo "built: $(ls "$build/bin" | tr '\n' ' ')"
