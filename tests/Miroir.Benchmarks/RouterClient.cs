using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Miroir.Benchmarks;

/// <summary>
/// The document API as a client speaks it. What is refused (503) or was never sent is sent again, and counted; an answer
/// that leaves the outcome open is counted; anything else ends the measurement.
/// </summary>
internal sealed class RouterClient : IDisposable
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly MediaTypeHeaderValue Ndjson = new("application/x-ndjson");
    private static readonly TimeSpan RetryFor = TimeSpan.FromSeconds(20);

    private readonly HttpClient _http = new(
        new SocketsHttpHandler
        {
            MaxConnectionsPerServer = 512,
            UseProxy = false,
            UseCookies = false,
        }
    )
    {
        Timeout = TimeSpan.FromSeconds(30),
    };
    private readonly string _index;
    private readonly Uri _documents;
    private long _refused;
    private long _unknown;

    /// <param name="router">Its base address.</param>
    /// <param name="index">Whose documents.</param>
    public RouterClient(string router, string index)
    {
        _index = index;
        _documents = new Uri(new Uri(router), $"/indexes/{index}/documents");
    }

    public HttpClient Http => _http;

    public long Refused => Interlocked.Read(ref _refused);

    public long Unknown => Interlocked.Read(ref _unknown);

    /// <summary>Makes the index; its primary key is the one of <see cref="MadeDocuments"/>.</summary>
    public async Task CreateIndexAsync(int shards, int replication, CancellationToken cancel)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                uid = _index,
                primaryKey = "id",
                shards,
                replication,
            }
        );
        using var response = await SendAsync(
            () => Post(new Uri(_documents, "/indexes"), body, Json),
            HttpStatusCode.Accepted,
            cancel
        );
    }

    /// <summary>Adds or replaces one document: durable once this returns.</summary>
    public async Task PutAsync(byte[] body, CancellationToken cancel)
    {
        using var response = await SendAsync(() => Post(_documents, body, Json), HttpStatusCode.Accepted, cancel);
    }

    /// <summary>A confirmed read of a document that is there.</summary>
    public async Task<int> ReadAsync(string id, CancellationToken cancel)
    {
        using var response = await SendAsync(
            () => new HttpRequestMessage(HttpMethod.Get, $"{_documents}/{id}"),
            HttpStatusCode.OK,
            cancel
        );
        return (await response.Content.ReadAsByteArrayAsync(cancel)).Length;
    }

    /// <summary>Loads the documents of the numbers below <paramref name="count"/>.</summary>
    public async Task ImportAsync(int count, CancellationToken cancel)
    {
        const int batch = 1000;
        const int inFlight = 4;
        await Parallel.ForEachAsync(
            Enumerable.Range(0, (count + batch - 1) / batch),
            new ParallelOptions { MaxDegreeOfParallelism = inFlight, CancellationToken = cancel },
            async (part, token) =>
            {
                using var lines = new MemoryStream();
                for (var i = part * batch; i < Math.Min(count, (part + 1) * batch); i++)
                {
                    lines.Write(MadeDocuments.Body(i));
                    lines.Write("\n"u8);
                }

                using var response = await SendAsync(
                    () => Post(_documents, lines.ToArray(), Ndjson),
                    HttpStatusCode.Accepted,
                    token
                );
            }
        );
    }

    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage Post(Uri to, byte[] body, MediaTypeHeaderValue type) =>
        new(HttpMethod.Post, to) { Content = new ByteArrayContent(body) { Headers = { ContentType = type } } };

    private async Task<HttpResponseMessage> SendAsync(
        Func<HttpRequestMessage> make,
        HttpStatusCode expected,
        CancellationToken cancel
    )
    {
        var until = DateTime.UtcNow + RetryFor;
        while (true)
        {
            using var request = make();
            try
            {
                var response = await _http.SendAsync(request, cancel);
                if (response.Headers.Contains("x-miroir-outcome"))
                    Interlocked.Increment(ref _unknown);
                if (response.StatusCode == expected)
                    return response;
                using var refused = response;
                if (response.StatusCode != HttpStatusCode.ServiceUnavailable || DateTime.UtcNow > until)
                    throw new InvalidOperationException(
                        $"{request.Method} {request.RequestUri}: {(int)response.StatusCode} {Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(cancel))}"
                    );
            }
            catch (HttpRequestException e)
                when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused }
                    && DateTime.UtcNow <= until
                )
            {
                // It never reached the router.
            }

            Interlocked.Increment(ref _refused);
            await Task.Delay(5, cancel);
        }
    }
}
