using System.Globalization;
using System.Text;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Tests.Api;

/// <summary>A change feed from memory. A cursor is the number of events that are behind it.</summary>
internal sealed class FakeFeed : IChangeFeed
{
    private readonly Lock gate = new();
    private readonly List<FeedEvent> events = [];
    private readonly List<FeedRequest> asked = [];
    private TaskCompletionSource more = NewSignal();

    /// <summary>Null: the events. Else what a read is refused with.</summary>
    public Func<FeedRequest, AdminReply<FeedBatch>?> Decide { get; set; } = _ => null;

    public FeedRequest[] Asked
    {
        get
        {
            lock (gate)
                return [.. asked];
        }
    }

    public FeedEvent Add(string key, string? body, bool isDelete = false)
    {
        lock (gate)
        {
            var version = new DocumentVersion(3, HybridClock.ofUnixMs(1_700_000_000_000) + events.Count + 1);
            var one = new FeedEvent(
                new Change(version, Key.Parse(key).ResultValue, version, isDelete, Guid.NewGuid()),
                body is null ? (ReadOnlyMemory<byte>?)null : Encoding.UTF8.GetBytes(body)
            );
            events.Add(one);
            more.SetResult();
            more = NewSignal();
            return one;
        }
    }

    public async Task<AdminReply<FeedBatch>> Read(FeedRequest request, CancellationToken cancel)
    {
        lock (gate)
            asked.Add(request);
        if (Decide(request) is { } decided)
            return decided;
        while (true)
        {
            Task signal;
            lock (gate)
            {
                var from =
                    request.Cursor is not null ? int.Parse(request.Cursor, CultureInfo.InvariantCulture)
                    : request.Start == FeedStart.Now ? events.Count
                    : 0;
                var some = events.Skip(from).Take(request.Limit).ToArray();
                if (some.Length > 0 || request.WaitMs == 0)
                    return AdminReply<FeedBatch>.Ok(
                        new FeedBatch(
                            [.. some.Select(e => request.WithDocuments ? e : new FeedEvent(e.Change, null))],
                            (from + some.Length).ToString(CultureInfo.InvariantCulture),
                            from + some.Length == events.Count
                        )
                    );
                signal = more.Task;
            }
            if (await Task.WhenAny(signal, Task.Delay(request.WaitMs, cancel)) != signal)
            {
                cancel.ThrowIfCancellationRequested();
                request = new FeedRequest(
                    request.Index,
                    request.Cursor ?? Now(),
                    request.Start,
                    request.Limit,
                    request.WithDocuments,
                    0
                );
            }
        }
    }

    private string Now()
    {
        lock (gate)
            return events.Count.ToString(CultureInfo.InvariantCulture);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
