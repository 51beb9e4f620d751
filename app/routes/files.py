"""`/v1/files`: upload once, use many times; batch input and output in OpenAI's shapes."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session as Rows

from app.access import Caller, Reader, Writer
from app.bodies import Upload, read_body
from app.jobs.answers import output_lines
from app.jobs.queue import now
from app.refusals import InvalidRequest, NotFound
from app.routes.shapes import PROBLEMS
from app.schemas import FILE_ID, TEXT
from app.services import Services, Shared
from app.store.records import new_id, newest_first
from app.store.tables import File

router = APIRouter(prefix="/v1/files", tags=["files"], responses=PROBLEMS)

FileId = Annotated[str, Path(pattern=FILE_ID)]
PURPOSES = ("batch", "vision", "user_data", "assistants", "fine-tune", "evals")
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                    },
                }
            }
        },
    }
}


def file_view(file: File) -> dict[str, Any]:
    """Return a file as OpenAI shows one."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": int(file.created_at),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    }


def find_file(rows: Rows, caller: Caller, file_id: str) -> File:
    """Return the caller's file, or raise `NotFound`."""
    file = rows.get(File, file_id)
    if file is None or file.tenant != caller.tenant:
        raise NotFound(f"there is no file {file_id}")
    return file


def add_file(services: Services, rows: Rows, tenant: str, upload: Upload, purpose: str) -> File:
    """Store an upload. Its name is kept for people to read, and used for nothing."""
    file_id = new_id("file")
    digest = services.store.keep(rows, file_id, upload.data, "application/octet-stream")
    file = File(
        id=file_id,
        tenant=tenant,
        name=upload.name[:255],
        purpose=purpose,
        digest=digest,
        size=len(upload.data),
        media_type="application/octet-stream",
        created_at=now(),
    )
    rows.add(file)
    return file


@router.post("", openapi_extra=_UPLOAD)
async def upload_file(services: Shared, caller: Writer, request: Request) -> dict[str, Any]:
    """Upload a file: a picture for edits, or the lines of a batch."""
    body = await read_body(request, services.settings.max_json_depth)
    uploads, purpose = body.files.get("file", ()), body.fields.get("purpose", "")
    if len(uploads) != 1:
        raise InvalidRequest("one file is expected, in multipart/form-data", param="file")
    if purpose not in PURPOSES:
        raise InvalidRequest(f"purpose must be one of {', '.join(PURPOSES)}", param="purpose")

    def work() -> dict[str, Any]:
        with services.store.database.write() as rows:
            return file_view(add_file(services, rows, caller.tenant, uploads[0], purpose))

    return await to_thread.run_sync(work)


@router.get("")
def list_files(
    services: Shared,
    caller: Reader,
    purpose: Annotated[str | None, Query(max_length=64, pattern=TEXT)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    after: Annotated[str | None, Query(pattern=FILE_ID)] = None,
) -> dict[str, Any]:
    """List files, newest first."""
    with services.store.database.read() as rows:
        found = select(File).where(File.tenant == caller.tenant)
        if purpose:
            found = found.where(File.purpose == purpose)
        last = find_file(rows, caller, after) if after else None
        files = rows.scalars(newest_first(found, File, last).limit(limit + 1)).all()
    data = [file_view(file) for file in files[:limit]]
    return {"object": "list", "data": data, "has_more": len(files) > limit}


@router.get("/{file_id}")
def get_file(services: Shared, caller: Reader, file_id: FileId) -> dict[str, Any]:
    """Describe a file."""
    with services.store.database.read() as rows:
        return file_view(find_file(rows, caller, file_id))


@router.get("/{file_id}/content", response_class=Response)
def get_content(services: Shared, caller: Reader, file_id: FileId) -> Response:
    """Return a file's bytes; always as a download, never as a page."""
    with services.store.database.read() as rows:
        file = find_file(rows, caller, file_id)
    headers = {"Content-Disposition": f'attachment; filename="{file.id}"'}
    if file.purpose == "batch_output":
        lines = output_lines(services.store, file.digest, file.media_type)
        return StreamingResponse(lines, media_type="application/jsonl", headers=headers)
    return Response(services.store.blobs.get(file.digest), media_type=file.media_type, headers=headers)


@router.delete("/{file_id}")
def delete_file(services: Shared, caller: Writer, file_id: FileId) -> dict[str, Any]:
    """Remove a file; edits made from it keep their pictures."""
    with services.store.database.write() as rows:
        rows.delete(find_file(rows, caller, file_id))
        rows.flush()
        services.store.release(rows, [file_id])
    return {"id": file_id, "object": "file", "deleted": True}
