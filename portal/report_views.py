"""The door for reports that come in heaps, from a provider who signs nothing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from portal.messaging import outbox, reports


@csrf_exempt
@require_POST
def aliyun_reports(request: HttpRequest) -> HttpResponse:
    """Aliyun's reports, under the key that was entered there. What it says of unknown texts is passed over.

    The key stands in the query, which our logs do not hold.
    """
    if not reports.is_aliyuns(request.GET.get("key", "")):
        return HttpResponseForbidden()
    heap = reports.read_heap(request.body)
    if heap is None:
        return HttpResponseBadRequest()
    for one in heap:
        told = one.report
        outbox.note_report(one.callback_key, told.provider_id, told.status, told.error, gateway="aliyun")
    return JsonResponse({"code": 0, "msg": "OK"})
