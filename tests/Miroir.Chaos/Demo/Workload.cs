using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Miroir.Oracle;

namespace Miroir.Chaos.Demo;

/// <summary>Clients that insert, replace, merge, delete and read all the while, and write down what they were told.</summary>
internal sealed class Workload(
    DocumentClient client,
    Func<Uri[]> routers,
    History history,
    Dataset dataset,
    Stopwatch clock,
    int clients,
    int ratePerSecond
)
{
    private const int HotKeys = 4_000;
    private const int BurstClients = 8;

    /// <summary>Of the dice with 100 sides that says what an operation is: so many of a hundred are writes.</summary>
    public const int ReadsFrom = 82;

    private readonly ConcurrentQueue<Sample> _samples = new();
    private readonly ConcurrentDictionary<string, int> _byKind = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private int _inserted;
    private int _bursts;
    private long _acknowledgedWrites;

    public IReadOnlyDictionary<string, int> ByKind => _byKind;

    public IReadOnlyList<Sample> Samples => [.. _samples];

    public int Operations => _samples.Count;

    public long AcknowledgedWrites => Interlocked.Read(ref _acknowledgedWrites);

    public void Start() => _running = Task.WhenAll(Enumerable.Range(0, clients).Select(i => RunAsync(i)));

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    /// <summary>Writes so many documents as fast as they are answered, beside whatever else goes on.</summary>
    public Task BurstAsync(int writes)
    {
        var burst = Interlocked.Increment(ref _bursts);
        var left = writes;
        async Task WriteAsync(int number)
        {
            await Task.Yield();
            var random = new Random(number);
            while (Interlocked.Decrement(ref left) is >= 0 and var i)
                await OneAsync(number, $"burst-{burst}-{i}", random, ReadsFrom);
        }

        // Numbers that no other client has.
        return Task.WhenAll(
            Enumerable.Range(0, BurstClients).Select(i => WriteAsync(clients + burst * BurstClients + i))
        );
    }

    private async Task RunAsync(int number)
    {
        await Task.Yield();
        var random = new Random(number);
        var periodMs = 1000.0 * clients / ratePerSecond;
        var next = clock.Elapsed.TotalMilliseconds + random.NextDouble() * periodMs;
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            var wait = next - clock.Elapsed.TotalMilliseconds;
            if (wait > 1)
                await Task.Delay(TimeSpan.FromMilliseconds(wait));
            next = Math.Max(next + periodMs, clock.Elapsed.TotalMilliseconds - periodMs);
            await OneAsync(number, $"{number}-{i}", random, 100);
        }
    }

    /// <param name="below">Of the dice that decide what it is.</param>
    private async Task OneAsync(int number, string id, Random random, int below)
    {
        Uri Router()
        {
            var all = routers();
            return all[random.Next(all.Length)];
        }

        // Most of the traffic meets on a few thousand keys, so that operations on one document do overlap.
        var hot = random.Next(Math.Min(HotKeys, dataset.Documents.Count));
        var any = random.Next(dataset.Documents.Count);
        var (key, document) = dataset.Documents[random.Next(4) > 0 ? hot : any];
        var dice = random.Next(below);
        var (kind, operation, send) = dice switch
        {
            < 35 => ("replace", ReplaceOf(key, id), () => client.ReplaceAsync(Router, With(document, id))),
            < 60 => (
                "merge",
                Operation.Merge(key, [new(DocumentClient.MarkField, id)]),
                () => client.MergeAsync(Router, Merge(key, id))
            ),
            < 72 => Insert(Router, id, document),
            < ReadsFrom => ("delete", Operation.Delete(key), () => client.DeleteAsync(Router, key)),
            _ => ("read", Operation.Read(key), (Func<Task<Reply>>)(() => client.ReadAsync(Router, key))),
        };
        var started = clock.Elapsed.TotalMilliseconds;
        var entry = history.Invoke(number + 1, operation);
        var reply = await send();
        history.Complete(entry, reply);
        if (kind != "read" && reply.Outcome == Outcome.Ok)
            Interlocked.Increment(ref _acknowledgedWrites);
        _samples.Enqueue(
            new(started, clock.Elapsed.TotalMilliseconds, kind != "read", operation.Key, reply.Outcome == Outcome.Ok)
        );
        _byKind.AddOrUpdate(kind, 1, (_, n) => n + 1);
    }

    private (string, Operation, Func<Task<Reply>>) Insert(Func<Uri> router, string id, JsonObject like)
    {
        var key = $"new-{Interlocked.Increment(ref _inserted)}+{id}";
        var document = (JsonObject)like.DeepClone();
        document[dataset.PrimaryKey] = key;
        return ("insert", ReplaceOf(key, id), () => client.ReplaceAsync(router, With(document, id)));
    }

    public static Operation ReplaceOf(string key, string id) =>
        Operation.Replace(key, [new(DocumentClient.OperationField, id)]);

    /// <summary>The document with the operation that wrote it.</summary>
    public static string With(JsonObject document, string id)
    {
        var copy = (JsonObject)document.DeepClone();
        copy.Remove(DocumentClient.MarkField);
        copy[DocumentClient.OperationField] = id;
        return copy.ToJsonString();
    }

    private string Merge(string key, string id) =>
        new JsonObject { [dataset.PrimaryKey] = key, [DocumentClient.MarkField] = id }.ToJsonString();
}
