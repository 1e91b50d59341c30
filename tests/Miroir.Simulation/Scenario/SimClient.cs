using System.Text;
using System.Text.Json;
using Miroir.Core;
using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>A client that writes and reads, one request at a time, and takes down what it asked and was told.</summary>
public sealed class SimClient(
    SimNetwork network,
    SimProcess process,
    int number,
    SimIndex index,
    IReadOnlyList<string> routers,
    ClientHabits habits
)
{
    // What a client never hears of proves little: most of it is to be heard.
    private const double Exposure = 0.2;
    private static readonly TimeSpan HotFor = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LongestEffect = TimeSpan.FromSeconds(25);
    private static readonly string[] Fields = ["a", "b", "c"];
    private readonly Dictionary<string, string> _versions = new(StringComparer.Ordinal);
    private readonly IEntropy _entropy = process.Entropy;
    private readonly History _history = index.History;
    private int _written;
    private bool _wasAnswered = true;

    /// <summary>True once the last request is over.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Requests until told to stop.</summary>
    public async Task RunAsync(Func<bool> isOver)
    {
        while (!isOver())
        {
            // Who is not answered tries less: a search among too many calls of unknown fate does not end.
            var thinkMs = _wasAnswered ? habits.ThinkMs : Math.Max(habits.ThinkMs, 200);
            await Task.Delay(TimeSpan.FromMilliseconds(_entropy.NextDouble() * 2 * thinkMs), process.Time);
            var drawn = _entropy.NextDouble();
            if (drawn >= 1 - (habits.Sweeps / 3))
            {
                await DeleteAllAsync();
            }
            else if (drawn >= 1 - habits.Sweeps)
            {
                await ListAsync();
            }
            else if (drawn < habits.Reads)
            {
                var consistency = _entropy.NextDouble() < 0.8 ? Consistency.Confirmed : Consistency.Eventual;
                await ReadAsync(AnyKey(), consistency);
            }
            else
            {
                var batch = _entropy.NextDouble() < 0.8 ? 1 : 2 + (int)(_entropy.NextDouble() * 4);
                await WriteAsync([.. Enumerable.Range(0, batch).Select(_ => AnyWrite())]);
            }
        }
        IsDone = true;
    }

    /// <summary>So many documents written as fast as they are answered.</summary>
    public async Task BurstAsync(int writes)
    {
        for (var left = writes; left > 0; left -= 8)
        {
            await WriteAsync([.. Enumerable.Range(0, Math.Min(left, 8)).Select(_ => AnyWrite())]);
        }
    }

    /// <summary>Replaces each document once.</summary>
    public async Task LoadAsync(IReadOnlyList<string> keys)
    {
        foreach (var chunk in keys.Chunk(16))
        {
            await WriteAsync([.. chunk.Select(key => Operation.Replace(key, SomeFields(3)))]);
        }
    }

    /// <summary>A confirmed read that is part of the history; null where it was not answered.</summary>
    public async Task<Reply?> ReadAsync(string key, Consistency consistency)
    {
        var operation = consistency == Consistency.Confirmed ? Operation.Read(key) : Operation.EventualRead(key);
        var entry = _history.Invoke(number, operation);
        using var limit = Patience();
        Reply? reply = null;
        try
        {
            var outcome = await network.Call(
                process,
                Pick(routers),
                "read",
                false,
                (service, cancel) => ((IDocuments)service).Read(index.Uid, Key.Of(key), consistency, cancel),
                limit.Token,
                Exposure
            );
            reply = outcome switch
            {
                ReadOutcome.Value { Item: var found } => Reply.Found(FieldsOf(found.Body), found.Version.ToString()),
                ReadOutcome.Nothing => Reply.Absent(),
                _ => null,
            };
            if (outcome is ReadOutcome.Value { Item: var seen })
            {
                _versions[key] = seen.Version.ToString();
            }
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            // Not answered.
        }
        Complete(entry, reply ?? Reply.Failed());
        return reply;
    }

    /// <summary>All documents at once: a read of each, begun and ended with the others.</summary>
    public async Task ListAsync()
    {
        var reads = AllKeys().Select(key => _history.Invoke(number, Operation.EventualRead(key))).ToArray();
        var reply = await AskAll("list", (documents, cancel) => documents.List(index.Uid, 0, int.MaxValue, cancel));
        var listed = reply is { IsOk: true }
            ? reply.Value.Documents.ToDictionary(d => d.Key.Text, StringComparer.Ordinal)
            : null;
        foreach (var read in reads)
        {
            Complete(
                read,
                listed is null ? Reply.Failed()
                    : listed.TryGetValue(read.Operation.Key, out var found)
                        ? Reply.Found(FieldsOf(found.Body), found.Version.ToString())
                    : Reply.Absent()
            );
        }
        index.Lists.Add(reads);
    }

    /// <summary>A deletion of each document that there may be: deleting what is not there changes nothing.</summary>
    public async Task DeleteAllAsync()
    {
        index.Feed.HasSweeps = true;
        var deletes = AllKeys().Select(key => _history.Invoke(number, Operation.Delete(key))).ToArray();
        var reply = await AskAll("delete all", (documents, cancel) => documents.DeleteAll(index.Uid, cancel));
        foreach (var delete in deletes)
        {
            Complete(delete, reply is { IsOk: true } ? Reply.Ok() : Reply.Unknown());
        }
    }

    /// <summary>Null where no answer came.</summary>
    private async Task<T?> AskAll<T>(string what, Func<IDocuments, CancellationToken, Task<T>> ask)
        where T : class
    {
        using var limit = Patience();
        try
        {
            return await network.Call(
                process,
                Pick(routers),
                what,
                false,
                (service, cancel) => ask((IDocuments)service, cancel),
                limit.Token,
                Exposure
            );
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            return null;
        }
    }

    public static IEnumerable<KeyValuePair<string, string>> FieldsOf(ReadOnlyMemory<byte> body)
    {
        using var json = JsonDocument.Parse(body);
        return [.. json.RootElement.EnumerateObject().Select(f => KeyValuePair.Create(f.Name, f.Value.GetString()!))];
    }

    private async Task WriteAsync(Operation[] operations)
    {
        var entries = Array.ConvertAll(operations, operation => _history.Invoke(number, operation));
        var commands = Array.ConvertAll(operations, Command);
        index.Written += operations.Length;
        foreach (var command in commands)
        {
            index.Feed.Ask(command);
        }
        using var limit = Patience();
        WriteOutcome[] outcomes = [];
        var unanswered = Reply.Unknown();
        try
        {
            outcomes = await network.Call(
                process,
                Pick(routers),
                "write",
                false,
                (service, cancel) => ((IDocuments)service).Write(commands, cancel),
                limit.Token,
                Exposure
            );
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            unanswered = e is RefusedException ? Reply.Failed() : Reply.Unknown();
        }
        for (var i = 0; i < entries.Length; i++)
        {
            if (i < outcomes.Length && outcomes[i] is WriteOutcome.Written written)
            {
                index.Feed.Acknowledge(commands[i], written.Version);
            }
            Complete(entries[i], i < outcomes.Length ? ReplyOf(operations[i], outcomes[i]) : unanswered);
        }
    }

    private void Complete(HistoryEntry entry, Reply reply)
    {
        _history.Complete(entry, reply);
        _wasAnswered = reply.Outcome is Outcome.Ok or Outcome.ConditionFailed;
        network.Kernel.Trace.Add(6, network.Kernel.Now, entry.Id, (long)reply.Outcome);
        if (network.Kernel.Trace.KeepsStory)
        {
            network.Kernel.Trace.Note(network.Kernel.Now, process.Name, $"\"{entry.Operation.Key}\" {entry}");
        }
    }

    private Reply ReplyOf(Operation operation, WriteOutcome outcome)
    {
        switch (outcome)
        {
            case WriteOutcome.Written written when operation.Kind == OperationKind.Delete:
                _versions[operation.Key] = written.Version.ToString();
                return Reply.Ok();
            case WriteOutcome.Written written:
                _versions[operation.Key] = written.Version.ToString();
                return Reply.Ok(written.Version.ToString());
            case WriteOutcome.ConditionFailed:
                return Reply.ConditionFailed();
            case WriteOutcome.Rejected:
                return Reply.Failed();
            default:
                return Reply.Unknown();
        }
    }

    private CancellationTokenSource Patience() =>
        new(
            TimeSpan.FromMilliseconds(
                _entropy.NextDouble() < habits.Impatience ? 5 + (_entropy.NextDouble() * 300) : 15_000
            ),
            process.Time
        );

    private T Pick<T>(IReadOnlyList<T> among) => among[(int)(_entropy.NextDouble() * among.Count)];

    private string AnyKey()
    {
        if (habits.Hot.Count == 0 || (habits.Cold.Count > 0 && _entropy.NextDouble() >= habits.Heat))
        {
            return Pick(habits.Cold);
        }
        return HotAt(Pick(habits.Hot), network.Kernel.Now / HotFor.Ticks);
    }

    private static string HotAt(string key, long turn) => turn == 0 ? key : $"{key}.{turn}";

    /// <summary>Every key that anybody may have used, or will while a request of now can still have effects.</summary>
    private IEnumerable<string> AllKeys()
    {
        var last = (network.Kernel.Now + LongestEffect.Ticks) / HotFor.Ticks;
        return habits.Cold.Concat(
            habits.Hot.SelectMany(key => Enumerable.Range(0, (int)last + 1).Select(turn => HotAt(key, turn)))
        );
    }

    private Operation AnyWrite()
    {
        var key = AnyKey();
        var drawn = _entropy.NextDouble();
        var operation =
            drawn < 0.35 ? Operation.Replace(key, SomeFields(1 + (int)(_entropy.NextDouble() * 3)))
            : drawn < 0.7 ? Operation.Merge(key, SomeFields(1 + (int)(_entropy.NextDouble() * 2)))
            : Operation.Delete(key);
        var condition = _entropy.NextDouble();
        return condition < 0.15 && _versions.TryGetValue(key, out var version) ? operation.IfVersion(version)
            : condition is >= 0.15 and < 0.25 ? operation.IfAbsent()
            : operation;
    }

    private KeyValuePair<string, string>[] SomeFields(int count)
    {
        var first = (int)(_entropy.NextDouble() * Fields.Length);
        var value = $"{number}-{++_written}";
        return
        [
            .. Enumerable.Range(0, count).Select(i => KeyValuePair.Create(Fields[(first + i) % Fields.Length], value)),
        ];
    }

    private WriteCommand Command(Operation operation) =>
        new(
            index.Uid,
            Key.Of(operation.Key),
            operation.Kind switch
            {
                OperationKind.Replace => WriteIntent.Replace,
                OperationKind.Merge => WriteIntent.Merge,
                _ => WriteIntent.Delete,
            },
            operation.Fields is { } fields
                ? Encoding.UTF8.GetBytes(
                    $"{{{string.Join(",", fields.Fields.Select(f => $"\"{f.Key}\":\"{f.Value}\""))}}}"
                )
                : ReadOnlyMemory<byte>.Empty,
            operation.Condition switch
            {
                ConditionKind.IfVersion => Condition.NewIfVersion(
                    DocumentVersion.TryParse(operation.ExpectedVersion!).Value
                ),
                ConditionKind.IfAbsent => Condition.IfAbsent,
                _ => Condition.Always,
            },
            _entropy.NewGuid()
        );
}
