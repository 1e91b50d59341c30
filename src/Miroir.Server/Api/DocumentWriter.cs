using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>
/// One request's writes, handed on in batches of which a few are on their way at once. Two writes of the same key never
/// are, so that they happen in the order in which they came.
/// </summary>
/// <param name="documents">Where they go.</param>
/// <param name="options">Bounds.</param>
/// <param name="index">The index.</param>
/// <param name="intent">What is done to each document.</param>
/// <param name="headers">The condition, and the operation id.</param>
/// <param name="beforeFirst">Awaited once, before anything is handed on.</param>
internal sealed class DocumentWriter(
    IDocuments documents,
    ApiOptions options,
    string index,
    WriteIntent intent,
    WriteHeaders headers,
    Func<CancellationToken, Task> beforeFirst
)
{
    private sealed class Batch
    {
        public List<WriteCommand> Commands { get; } = [];
        public HashSet<Key> Keys { get; } = [];
        public int Bytes { get; set; }
        public Task<WriteOutcome[]>? Call { get; set; }
    }

    private readonly Queue<Batch> inFlight = new();
    private Batch current = new();
    private bool conflicts;
    private bool started;

    public WriteTally Tally { get; } = new(options.NamedFailures);

    public ValueTask AddAsync(Key key, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        current.Commands.Add(
            new WriteCommand(
                index,
                key,
                intent,
                body,
                headers.Condition,
                headers.OperationId ?? options.Entropy.NewGuid()
            )
        );
        current.Keys.Add(key);
        current.Bytes += body.Length;
        foreach (var batch in inFlight)
            conflicts |= batch.Keys.Contains(key);
        return current.Commands.Count >= options.BatchDocuments || current.Bytes >= options.BatchBytes
            ? new ValueTask(SendAsync(cancel))
            : ValueTask.CompletedTask;
    }

    /// <summary>Ends when every outcome is in the tally.</summary>
    public async Task CompleteAsync(CancellationToken cancel)
    {
        if (current.Commands.Count > 0)
            await SendAsync(cancel);
        while (inFlight.Count > 0)
            await SettleAsync();
    }

    private async Task SendAsync(CancellationToken cancel)
    {
        if (!started)
            await beforeFirst(cancel);
        started = true;
        while (inFlight.Count >= options.BatchesInFlight || (conflicts && inFlight.Count > 0))
            await SettleAsync();
        conflicts = false;
        var batch = current;
        current = new Batch();
        batch.Call = CallAsync(batch.Commands, cancel);
        inFlight.Enqueue(batch);
    }

    private async Task SettleAsync()
    {
        var batch = inFlight.Dequeue();
        var why = "an answer is missing";
        WriteOutcome[] outcomes = [];
        try
        {
            outcomes = await batch.Call!;
        }
        // Whatever stopped the call, it may have been done by then: that is all that is known.
        catch (OperationCanceledException)
        {
            why = $"no answer came within {options.WriteTimeoutMs} ms";
        }
        catch (Exception e)
        {
            why = e.Message;
        }
        for (var i = 0; i < batch.Commands.Count; i++)
            if (i < outcomes.Length)
                Tally.Add(batch.Commands[i].Key, outcomes[i]);
            else
                Tally.AddUnknown(batch.Commands[i].Key, why);
    }

    private async Task<WriteOutcome[]> CallAsync(List<WriteCommand> commands, CancellationToken cancel)
    {
        using var limit = new TimeLimit(options.WriteTimeoutMs, options.Time, cancel);
        return await documents.Write(commands, limit.Token);
    }
}
