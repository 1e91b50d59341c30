using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Miroir.Ports;

namespace Miroir.Server.Http;

/// <summary>Turns what a handler throws into the documented error shape; nothing of a stack trace gets out.</summary>
public static class ErrorAnswers
{
    public static async Task Guard(HttpContext http, Func<CancellationToken, Task> handler)
    {
        var cancel = http.RequestAborted;
        try
        {
            await handler(cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
        catch (Exception e)
        {
            var error = ErrorOf(http, e);
            if (http.Response.HasStarted)
                http.Abort();
            else
            {
                // A refusal is deliberate: the headers that go with it (ETag, Allow) were set before.
                if (e is not RefusedException)
                    http.Response.Clear();
                await error.WriteAsync(http.Response, cancel);
            }
        }
    }

    private static ApiError ErrorOf(HttpContext http, Exception e)
    {
        switch (e)
        {
            case BadRequestException bad:
                return new ApiError(bad.Message, bad.Code);
            case RefusedException refused:
                return refused.Error;
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }:
                return new ApiError(e.Message, "payload_too_large");
            case BadHttpRequestException:
                return new ApiError(e.Message, "bad_request");
            case UnreachableException unreachable:
                return new ApiError($"{unreachable.Message}; try again", "peer_unavailable");
            case OperationCanceledException:
                return new ApiError("the request was not answered in time; try again", "request_timeout");
            default:
                http.RequestServices.GetService<ILoggerFactory>()
                    ?.CreateLogger("Miroir.Server")
                    .LogError(e, "{Method} {Path} failed", http.Request.Method, http.Request.Path);
                return new ApiError("an internal error occurred; the server's log has it", "internal");
        }
    }
}
