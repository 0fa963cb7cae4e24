"""OHIF as its authors ship it, before Orthanc: behind nginx, as in their own container."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError, ProgramMissing
from benchmarks.running import Server, free_port, held_to, listening, program

PACKAGE = "@ohif/app@3.13.2"
READY = Path(__file__).parent.parent / ".cache" / "ohif"
"""The same release, made ready by scripts/prepare.py for our server."""

_COMPRESSED = {".js", ".css", ".wasm", ".svg", ".json"}
_LEAST = 1024
_CONFIGURATION = """window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true,
  customizationService: { 'ohif.tours': { $set: [] } },
  maxNumberOfWebWorkers: 3, showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true, showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true, groupEnabledModesFirst: true,
  maxNumRequests: { interaction: 20, thumbnail: 5, prefetch: 10 },
  investigationalUseDialog: { option: 'configure', days: 365 },
  defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'orthanc',
    configuration: {
      friendlyName: 'Orthanc', name: 'orthanc', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      wadoUriRoot: '/dicom-web', qidoSupportsIncludeField: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, omitQuotationForMultipartRequest: true,
    },
  }],
};
"""
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 512; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nodelay on; gzip_static on;
  types {{ application/wasm wasm; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}; root {dist};
    location /dicom-web/ {{
      proxy_pass http://127.0.0.1:{orthanc}; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }}
    location / {{ try_files $uri /index.html; }}
  }}
}}
"""


def dist(folder: Path) -> Path:
    """The viewer's files, with compressed copies beside them. Raises BenchmarkError."""
    npm = shutil.which("npm")
    if npm is None:
        raise ProgramMissing("npm", "npm")
    pack = [npm, "pack", PACKAGE, "--pack-destination", str(folder)]
    done = subprocess.run(pack, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{PACKAGE} cannot be fetched: {done.stderr.strip()[-300:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    found = folder / "package" / "dist"
    (found / "app-config.js").write_text(_CONFIGURATION)
    for file in found.rglob("*"):
        if file.suffix in _COMPRESSED and file.stat().st_size >= _LEAST:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9))
    return found


@contextmanager
def before_orthanc(folder: Path, files: Path, orthanc: Server, core: int | None) -> Iterator[int]:
    """The port of an nginx that serves the viewer and passes DICOMweb on."""
    nginx = program("nginx", "nginx-light")
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _NGINX.format(folder=folder, port=port, dist=files, orthanc=orthanc.http_port)
    )
    for path in (folder, *folder.parents[:1], files, *files.parents[:2]):
        path.chmod(0o755)  # its worker is a user of its own
    command = held_to(core, [nginx, "-c", str(configuration), "-e", str(folder / "error.log")])
    with listening("nginx", port, command, folder / "nginx.log"):
        yield port
