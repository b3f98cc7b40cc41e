"""A file that comes as the body of a request, or in a form; never more of it than is allowed."""

from collections.abc import AsyncGenerator

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from gateway.errors import Refusal
from gateway.wire import body_bytes


async def uploaded(request: Request, bytes_max: int) -> bytes:
    """
    The CSV in the body, or in the one file of a form, at most *bytes_max* bytes with all that is around it.

    Errors: Refusal too_large, unsupported_media_type, bad_request.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "text/csv":
        return await body_bytes(request, bytes_max)
    if media_type != "multipart/form-data":
        raise Refusal("unsupported_media_type", "Content-Type has to be text/csv, or multipart/form-data with a file.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > bytes_max:
        raise Refusal("too_large", f"The body may have at most {bytes_max} bytes.")
    try:
        form = await MultiPartParser(request.headers, _bounded(request, bytes_max), max_files=1, max_fields=0).parse()
    except (MultiPartException, MultipartParseError, KeyError, ClientDisconnect) as error:
        raise Refusal("bad_request", "The form has to hold one file and nothing else.", field="file") from error
    try:
        files = [each for each in form.values() if isinstance(each, UploadFile)]
        if len(files) != 1:
            raise Refusal("bad_request", "The form has to hold one file and nothing else.", field="file")
        return await files[0].read()
    finally:
        await form.close()


async def _bounded(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise Refusal("too_large", f"The body may have at most {bytes_max} bytes.")
        yield chunk
