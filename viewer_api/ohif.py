"""The OHIF viewer at /ohif/, for who may read studies: as its authors built it, on our DICOMweb.

`scripts/ohif.py` fetches it and makes it ready in a folder: `index.html`, and everything else
below one release's name, an address whose content never changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from pacs.people.permissions import Permission
from viewer_api.access import Reader, authenticate, unauthenticated
from viewer_api.door import door_of
from viewer_api.pages import page
from viewer_api.problems import Problem, not_found
from viewer_api.responses import text_response
from viewer_api.static_files import ASK_AGAIN, FOR_EVER, file_below, file_response

router = APIRouter(prefix="/ohif", include_in_schema=False)

# Compressed frames as they are stored; uncompressed ones as HTJ2K, which is at most two thirds as
# large and made once; else as they are.
_FRAMES = ", ".join(
    [f'multipart/related; type="image/{kind}"' for kind in ("jp2", "jls", "jpeg", "dicom-rle")]
    + [
        'multipart/related; type="image/jphc"; transfer-syntax="1.2.840.10008.1.2.4.202"; q=0.8',
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"; q=0.5',
    ]
)
_DATA_SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "filmless",
    "configuration": {
        "friendlyName": "Filmless",
        "name": "filmless",
        "qidoRoot": "/dicomweb",
        "wadoRoot": "/dicomweb",
        "wadoUriRoot": "/dicomweb",
        "qidoSupportsIncludeField": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "imageRendering": "wadors",
        "acceptHeader": [_FRAMES],
        # Small JPEGs of ours: "wadors" would fetch and decode a whole frame for each series.
        "thumbnailRendering": "thumbnail",
        "thumbnailRequestStrategy": "fetch",
        "enableStudyLazyLoad": True,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True},
        "dicomUploadEnabled": False,
    },
}
_CONFIGURATION = {
    "name": "filmless",
    "routerBasename": "/ohif",
    "extensions": [],
    "modes": [],
    # A guided tour would lie over the image.
    "customizationService": {"ohif.tours": {"$set": []}},
    "showStudyList": True,
    # Never a doubt whose images these are.
    "showPatientInfo": "visibleReadOnly",
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "showErrorDetails": "production",
    "strictZSpacingForVolumeViewport": True,
    "groupEnabledModesFirst": True,
    "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 10},
    "investigationalUseDialog": {"option": "configure", "days": 365},
    "defaultDataSourceName": "filmless",
    "dataSources": [_DATA_SOURCE],
}
_SCRIPT = """window.PUBLIC_URL = %(base)s;
function browserImportFunction(name) { return import(name); }
(() => {
  let chosen = %(language)s;
  try {
    chosen = localStorage.getItem('filmless.language') ?? chosen;
    localStorage.setItem('i18nextLng', chosen === 'en' ? 'en-US' : 'vi');
  } catch { /* storage is closed to us: the cookie alone says it */ }
  document.cookie = `i18next=${chosen === 'en' ? 'en-US' : 'vi'}; path=/; samesite=lax`;
})();
window.config = %(configuration)s;
window.config.whiteLabeling = {
  createLogoComponentFn: (React) =>
    React.createElement(
      'a',
      { href: '/', title: 'Filmless', className: 'flex items-center gap-2 text-white' },
      React.createElement('img', { src: '/icon.svg', alt: '', width: 24, height: 24 }),
      'Filmless',
    ),
};
// OHIF gives up on a whole report where one finding has no place in the image, and names none.
window.config.customizationService.onBeforeSRAddMeasurement = {
  $set: ({ measurement }) => {
    if (!measurement.coords.length) measurement.coords.push({});
    const [kind, finding] = measurement.TrackingIdentifier.split(': ');
    if (kind === 'AI' && measurement.labels[0]?.label !== kind) {
      measurement.labels.unshift({ label: kind, value: finding });
    }
    return measurement;
  },
};
window.config.httpErrorHandler = ({ status }) => {
  if (status !== 401) return;
  const here = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
};
"""


def is_installed(folder: Path) -> bool:
    """Whether an OHIF viewer is ready there."""
    return (folder / "release.json").is_file()


@router.get("")
def ohif_without_slash() -> Response:
    """The address as people type it."""
    return RedirectResponse("/ohif/", 308)


@router.get("/app-config.js")
def configuration(request: Request, _principal: Reader) -> Response:
    """How OHIF finds our DICOMweb, in which language, and what it does when nobody is signed in."""
    settings = door_of(request).archive.settings
    if not is_installed(settings.ohif_folder):
        raise not_found("The OHIF viewer is not installed.")
    release = json.loads((settings.ohif_folder / "release.json").read_text())["release"]
    script = _SCRIPT % {
        "base": json.dumps(f"/ohif/{release}/"),
        "language": json.dumps(settings.language),
        "configuration": json.dumps(_CONFIGURATION),
    }
    return text_response(request, script.encode(), "text/javascript")


@router.get("/{path:path}")
def ohif(request: Request, path: str) -> Response:
    """A file of the viewer; for any path without an extension the page that routes it."""
    principal = authenticate(request)
    if principal is None and _is_page(path):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/sign-in?next={quote(f'/ohif/{path}{query}', safe='')}", 303)
    if principal is None:
        raise unauthenticated()
    if not principal.may(Permission.READ_STUDIES):
        raise Problem(403, "forbidden", "This needs the permission to read studies.")
    folder = door_of(request).archive.settings.ohif_folder
    file = file_below(folder, path)
    if file is not None and "/" in path:
        return file_response(request, file, f"private, {FOR_EVER}")
    if not _is_page(path):
        raise not_found("There is no such file.")
    if not is_installed(folder):
        return page(
            404,
            "Chưa cài trình xem OHIF",
            "The OHIF viewer is not installed here: `make run` fetches it, or set PACS_OHIF_DIR "
            "to the folder that scripts/prepare.py ohif has made. The reading room works without.",
        )
    return file_response(request, folder / "index.html", ASK_AGAIN)


def _is_page(path: str) -> bool:
    return "." not in path.rsplit("/", 1)[-1]
