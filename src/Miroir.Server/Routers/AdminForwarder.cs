using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Server.Admin;
using Miroir.Server.Http;

namespace Miroir.Server.Routers;

/// <summary>
/// Passes the admin API on to the coordinator, so that an operator's tools may be pointed at any router. What processes
/// ask each other (<c>/_miroir/internal</c>, <c>/_miroir/router</c>) is not passed on.
/// </summary>
/// <param name="coordinator">Its base address, such as http://127.0.0.1:7710.</param>
internal sealed class AdminForwarder(string coordinator) : IDisposable
{
    private const string Prefix = "/_miroir";

    /// <summary>Longer than anything that the coordinator does before it answers.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    private readonly PeerTransport transport = new(WireLimits.Default, HttpVersion.Version11);
    private readonly string address = coordinator.TrimEnd('/');

    /// <summary>Routes that are mapped in words of their own go before this one.</summary>
    public void Map(IEndpointRouteBuilder app) =>
        app.Map(
            $"{Prefix}/{{**path}}",
            (RequestDelegate)(http => ErrorAnswers.Guard(http, cancel => Forward(http, cancel)))
        );

    public void Dispose() => transport.Dispose();

    private async Task Forward(HttpContext http, CancellationToken cancel)
    {
        var path = http.Request.Path;
        // The path as the server understood it, without dots: what is compared is what is asked for.
        if (path.StartsWithSegments($"{Prefix}/internal") || path.StartsWithSegments($"{Prefix}/router"))
            throw new RefusedException("not_found", $"there is no route {http.Request.Method} {path}");
        using var request = new HttpRequestMessage(
            new HttpMethod(http.Request.Method),
            $"{address}{path.ToUriComponent()}{http.Request.QueryString.ToUriComponent()}"
        )
        {
            Version = transport.Version,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var body = await JsonFields.ReadBodyAsync(http.Request.Body, AdminEndpoints.MaxBodyBytes(path), cancel);
        if (body.Length > 0)
        {
            request.Content = new ByteArrayContent(body);
            if (MediaTypeHeaderValue.TryParse(http.Request.ContentType, out var type))
                request.Content.Headers.ContentType = type;
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(AnswerTimeout);
        try
        {
            using var answer = await transport.Invoker.SendAsync(request, limit.Token);
            http.Response.StatusCode = (int)answer.StatusCode;
            http.Response.ContentType = answer.Content.Headers.ContentType?.ToString();
            http.Response.ContentLength = answer.Content.Headers.ContentLength;
            if (answer.Headers.RetryAfter is { } later)
                http.Response.Headers.RetryAfter = later.ToString();
            await answer.Content.CopyToAsync(http.Response.Body, limit.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Away(
                $"it did not answer within {AnswerTimeout.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s. "
                    + "What was asked may have been done: look before you ask again"
            );
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Away($"{e.GetBaseException().Message}. Is it running? Then try again");
        }
    }

    private RefusedException Away(string why) =>
        new("coordinator_unavailable", $"the coordinator at {address} can't be asked: {why}");
}
