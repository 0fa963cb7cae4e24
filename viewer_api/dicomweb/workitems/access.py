"""Who may read and write the worklist of workitems."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends
from starlette.requests import HTTPConnection

from pacs.index.question import EVERYTHING
from pacs.people.permissions import Permission
from viewer_api.access import Principal, allow
from viewer_api.door import door_of
from viewer_api.problems import Problem


def of_the_worklist(permission: Permission) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """A dependency: the principal, if it may do this; 401 or 403 otherwise.

    Workitems are not parted by study or institution, so whoever is confined to some sees none.
    """
    permitted = allow(permission)

    async def check(request: HTTPConnection) -> Principal:
        principal = await permitted(request)
        if principal.scope != EVERYTHING:
            await to_thread.run_sync(_record_refusal, request, principal)
            raise Problem(403, "forbidden", "Workitems are for those who may see every study.")
        return principal

    return check


def _record_refusal(request: HTTPConnection, principal: Principal) -> None:
    door_of(request).audit.record_once(
        principal.actor,
        "access.refused",
        "refused",
        detail={"permission": Permission.READ_WORKITEMS.value},
        address=principal.address,
    )


WorkitemReader = Annotated[Principal, Depends(of_the_worklist(Permission.READ_WORKITEMS))]
WorkitemWriter = Annotated[Principal, Depends(of_the_worklist(Permission.WRITE_WORKITEMS))]
