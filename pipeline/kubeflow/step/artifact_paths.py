"""Map addresses of the object store to paths in a step's pod.

Kubeflow's launcher copies a step's inputs from the store to folders of the pod before it runs the step, and its outputs
from there to the store afterwards (`LocalPathForURI` in its `launcher_v2.go`). TensorFlow and Beam can't open
`minio://`, so a step works on those folders throughout.
"""

import os
from dataclasses import dataclass

ROOT = "SHELFRANK_LAUNCHER_ROOT"
"""Environment variable: the folder that the launcher's `/minio`, `/s3` and `/gcs` lie under.

In a pod it is `/`, and the variable isn't set. A launcher that runs without a container, as the tests' does, can't
write there.
"""

_FOLDERS = {"minio://": "minio/", "s3://": "s3/", "gs://": "gcs/"}


@dataclass(frozen=True)
class ArtifactPaths:
    """The launcher's folders.

    Attributes:
        root: the folder they lie under: `/` in a pod.
        kept: schemes whose addresses stay as they are, since other machines must open them too.
    """

    root: str = "/"
    kept: tuple[str, ...] = ()

    def local(self, uri: str) -> str:
        """Return the folder or file for an address of the store; any other address as it is."""
        for scheme, folder in self._mapped():
            if uri.startswith(scheme):
                return folder + uri.removeprefix(scheme)
        return uri

    def remote(self, path: str) -> str:
        """Return the address for a path in one of the folders; any other path as it is."""
        for scheme, folder in self._mapped():
            if path.startswith(folder):
                return scheme + path.removeprefix(folder)
        return path

    @classmethod
    def here(cls, kept: tuple[str, ...] = ()) -> "ArtifactPaths":
        """Return those of this pod. Outside of a pod there are no such folders, and every path stays as it is."""
        return cls(os.environ.get(ROOT, "/"), kept)

    def _mapped(self) -> list[tuple[str, str]]:
        root = self.root.rstrip("/")
        return [(scheme, f"{root}/{folder}") for scheme, folder in _FOLDERS.items() if scheme not in self.kept]
