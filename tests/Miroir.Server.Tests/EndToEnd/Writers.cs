using System.Net;
using System.Text.Json;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>A write as its answer told it.</summary>
internal sealed record AcknowledgedWrite(Guid Id, string Key, string Version, bool IsDelete);

/// <summary>
/// Clients that insert, replace and delete while something else goes on, and remember for each document what it may be
/// by their own history. Each document has one client, which has one request open at a time.
/// </summary>
internal sealed class Writers : IAsyncDisposable
{
    private const int Clients = 4;
    private const int KeysPerClient = 50;
    private readonly TestCluster cluster;
    private readonly string index;
    private readonly CancellationTokenSource stop = new();

    // What each document may be: the last certain write, and every uncertain one since. Null: deleted, or never there.
    private readonly Dictionary<string, HashSet<int?>> possible = [];
    private readonly List<AcknowledgedWrite> taken = [];
    private readonly Task[] running;
    private int acknowledged;
    private int unknown;

    private Writers(TestCluster cluster, string index)
    {
        this.cluster = cluster;
        this.index = index;
        for (var client = 0; client < Clients; client++)
        for (var key = 0; key < KeysPerClient; key++)
            possible[Name(client, key)] = [null];
        running = [.. Enumerable.Range(0, Clients).Select(RunAsync)];
    }

    public int Acknowledged => Volatile.Read(ref acknowledged);

    public int Unknown => Volatile.Read(ref unknown);

    /// <summary>Every write so far that was acknowledged, those of a document in the order of their versions.</summary>
    public AcknowledgedWrite[] Taken
    {
        get
        {
            lock (taken)
                return [.. taken];
        }
    }

    public static Writers Start(TestCluster cluster, string index) => new(cluster, index);

    /// <summary>Until so many more writes were acknowledged.</summary>
    public async Task MoreAsync(int count)
    {
        var enough = Acknowledged + count;
        await TestCluster.UntilAsync(
            () => Task.FromResult((Acknowledged >= enough, Acknowledged)),
            now => $"only {now} of {enough} writes were acknowledged"
        );
    }

    /// <summary>Stops, then reads every document back: none is lost, stale or resurrected.</summary>
    public async Task CheckAsync()
    {
        await StopAsync();
        foreach (var (id, values) in possible)
        {
            var reply = await cluster.SendAsync("GET", $"/indexes/{index}/documents/{id}");
            int? found = reply.Status switch
            {
                HttpStatusCode.OK => reply.Json.GetProperty("n").GetInt32(),
                HttpStatusCode.NotFound when reply.Code == "document_not_found" => null,
                _ => throw new InvalidOperationException($"{id}: {(int)reply.Status} {reply.Text}"),
            };
            Assert.That(values, Does.Contain(found), $"document {id}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        stop.Dispose();
    }

    public async Task StopAsync()
    {
        if (!stop.IsCancellationRequested)
            await stop.CancelAsync();
        await Task.WhenAll(running);
    }

    private static string Name(int client, int key) => $"w{client}-{key}";

    private async Task RunAsync(int client)
    {
        await Task.Yield();
        for (var n = 0; !stop.IsCancellationRequested; n++)
        {
            var id = Name(client, n % KeysPerClient);
            int? value = n % 7 == 5 ? null : n;
            var outcome = await WriteAsync(id, value);
            lock (possible)
            {
                if (outcome == true)
                    possible[id] = [value];
                else if (outcome is null)
                    possible[id].Add(value);
            }
            if (outcome == true)
                Interlocked.Increment(ref acknowledged);
            else if (outcome is null)
                Interlocked.Increment(ref unknown);
        }
    }

    /// <summary>True: acknowledged; false: certainly not written; null: not known.</summary>
    private async Task<bool?> WriteAsync(string id, int? value)
    {
        try
        {
            var operation = Guid.NewGuid();
            using var request = new HttpRequestMessage(
                value is null ? HttpMethod.Delete : HttpMethod.Post,
                $"{cluster.Address}/indexes/{index}/documents{(value is null ? $"/{id}" : "")}"
            );
            if (value is not null)
                request.Content = new StringContent(
                    JsonSerializer.Serialize(new { id, n = value }),
                    System.Text.Encoding.UTF8,
                    "application/json"
                );
            request.Headers.Add("x-miroir-operation-id", operation.ToString());
            using var response = await cluster.Http.SendAsync(request);
            if (response.Headers.Contains("x-miroir-outcome"))
                return null;
            if (response.StatusCode == HttpStatusCode.Accepted)
                lock (taken)
                    taken.Add(new(operation, id, response.Headers.ETag!.Tag.Trim('"'), value is null));
            return response.StatusCode switch
            {
                HttpStatusCode.Accepted => true,
                HttpStatusCode.ServiceUnavailable => false,
                var other => throw new InvalidOperationException(
                    $"{id}: {(int)other} {await response.Content.ReadAsStringAsync()}"
                ),
            };
        }
        catch (HttpRequestException)
        {
            // The router went away in the middle, or is not there.
            return null;
        }
    }
}
