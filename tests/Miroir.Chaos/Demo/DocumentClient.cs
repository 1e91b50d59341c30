using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Miroir.Oracle;

namespace Miroir.Chaos.Demo;

/// <summary>
/// Documents over HTTP as any client would send them, and what the history may say of the answer: Ok, Failed
/// (certainly not applied: it is sent again, to whichever router comes next), Unknown.
/// </summary>
internal sealed class DocumentClient(HttpClient http, string index)
{
    /// <summary>Fields that the history models; a document's others come along unchanged.</summary>
    public const string OperationField = "writer_op";
    public const string MarkField = "writer_mark";

    private static readonly TimeSpan RetryFor = TimeSpan.FromSeconds(20);

    private long _refused;
    private long _unknown;

    /// <summary>Requests that were refused or never reached a router, each sent again.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public long Unknown => Interlocked.Read(ref _unknown);

    private static string Path(string index, string id) => $"/indexes/{index}/documents/{Uri.EscapeDataString(id)}";

    private static bool NeverSent(HttpRequestException e) =>
        e.HttpRequestError == HttpRequestError.ConnectionError
        || e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused };

    public Task<Reply> ReplaceAsync(Func<Uri> router, string json) => WriteAsync(router, HttpMethod.Post, json);

    public Task<Reply> MergeAsync(Func<Uri> router, string json) => WriteAsync(router, HttpMethod.Put, json);

    private Task<Reply> WriteAsync(Func<Uri> router, HttpMethod method, string json) =>
        SendAsync(
            () =>
            {
                var request = new HttpRequestMessage(method, new Uri(router(), $"/indexes/{index}/documents"))
                {
                    Content = new ByteArrayContent(Encoding.UTF8.GetBytes(json)),
                };
                request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                return request;
            },
            response =>
                Task.FromResult(
                    response.StatusCode == HttpStatusCode.Accepted ? Reply.Ok() : throw Unexpected(response)
                )
        );

    public Task<Reply> DeleteAsync(Func<Uri> router, string id) =>
        SendAsync(
            () => new HttpRequestMessage(HttpMethod.Delete, new Uri(router(), Path(index, id))),
            response =>
                Task.FromResult(
                    response.StatusCode == HttpStatusCode.Accepted ? Reply.Ok() : throw Unexpected(response)
                )
        );

    public Task<Reply> ReadAsync(Func<Uri> router, string id) =>
        SendAsync(
            () => new HttpRequestMessage(HttpMethod.Get, new Uri(router(), Path(index, id))),
            async response =>
            {
                if (response.StatusCode == HttpStatusCode.NotFound)
                    return Reply.Absent();
                if (response.StatusCode != HttpStatusCode.OK)
                    throw Unexpected(response);
                var body = await response.Content.ReadAsByteArrayAsync();
                return Reply.Found(Fields(body), null);
            }
        );

    /// <summary>The version of a document as this read shows it; "" where it shows none.</summary>
    public async Task<string> VersionAsync(Uri router, string id, bool isEventual)
    {
        var reply = await SendAsync(
            () =>
                new HttpRequestMessage(
                    HttpMethod.Get,
                    new Uri(router, Path(index, id) + (isEventual ? "?consistency=eventual" : ""))
                ),
            response =>
                Task.FromResult(
                    response.StatusCode switch
                    {
                        HttpStatusCode.NotFound => Reply.Absent(),
                        HttpStatusCode.OK => Reply.Ok(response.Headers.ETag!.Tag.Trim('"')),
                        _ => throw Unexpected(response),
                    }
                )
        );
        return reply.Outcome == Outcome.Ok
            ? reply.Version ?? ""
            : throw new InvalidOperationException($"the version of {id} could not be read");
    }

    public async Task CreateIndexAsync(Uri router, string primaryKey, int shards, int replication)
    {
        using var response = await http.PostAsJsonAsync(
            new Uri(router, "/indexes"),
            new
            {
                uid = index,
                primaryKey,
                shards,
                replication,
            }
        );
        var answer = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode || answer.Contains("\"failed\"", StringComparison.Ordinal))
            throw new InvalidOperationException($"index {index} could not be made: {answer}");
    }

    private static InvalidOperationException Unexpected(HttpResponseMessage response) =>
        new(
            $"{response.RequestMessage?.Method} {response.RequestMessage?.RequestUri}: {(int)response.StatusCode} {response.Content.ReadAsStringAsync().GetAwaiter().GetResult()}"
        );

    /// <summary>The modelled fields of a stored document.</summary>
    public static Dictionary<string, string> Fields(ReadOnlyMemory<byte> json)
    {
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        using var document = JsonDocument.Parse(json);
        foreach (var name in (string[])[OperationField, MarkField])
        {
            if (document.RootElement.TryGetProperty(name, out var value))
                fields[name] = value.GetString() ?? "";
        }

        return fields;
    }

    private async Task<Reply> SendAsync(Func<HttpRequestMessage> make, Func<HttpResponseMessage, Task<Reply>> read)
    {
        var started = DateTime.UtcNow;
        var pauseMs = 5;
        while (true)
        {
            var isRead = false;
            try
            {
                using var request = make();
                isRead = request.Method == HttpMethod.Get;
                using var response = await http.SendAsync(request);
                if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
                {
                    if (!response.Headers.TryGetValues("x-miroir-outcome", out _))
                        return await read(response);
                    Interlocked.Increment(ref _unknown);
                    return Reply.Unknown();
                }
            }
            catch (HttpRequestException e) when (isRead || NeverSent(e)) { }
            catch (SocketException)
            {
                // The connection was lost while it was being made: nothing has been sent on it.
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException && !isRead)
            {
                // The request may have been carried out before its answer was lost.
                Interlocked.Increment(ref _unknown);
                return Reply.Unknown();
            }
            catch (Exception e) when (isRead && e is TaskCanceledException or IOException) { }

            Interlocked.Increment(ref _refused);
            if (DateTime.UtcNow - started > RetryFor)
                return Reply.Failed();
            await Task.Delay(pauseMs);
            pauseMs = Math.Min(pauseMs * 2, 200);
        }
    }
}
