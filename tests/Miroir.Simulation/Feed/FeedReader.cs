using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using Miroir.Simulation.Routing;
using NUnit.Framework;

namespace Miroir.Simulation.Feed;

/// <summary>Follows the feed of the tests' index, and keeps what it was given.</summary>
internal sealed class FeedReader(Router router, int limit = 100)
{
    private readonly List<FeedEvent> _events = [];

    public IReadOnlyList<FeedEvent> Events => _events;

    public string? Cursor { get; set; }

    public FeedStart Start { get; init; }

    public bool WithDocuments { get; init; }

    /// <summary>The key of each event.</summary>
    public string[] Told => [.. _events.Select(static e => e.Change.Key.Text)];

    public Guid[] Operations => [.. _events.Select(static e => e.Change.OperationId)];

    public Task<AdminReply<FeedBatch>> AskAsync(int waitMs = 0) =>
        router.Read(
            new FeedRequest(RouterWorld.Index, Cursor, Start, limit, WithDocuments, waitMs),
            CancellationToken.None
        );

    /// <summary>One batch, which must be given.</summary>
    public async Task<FeedBatch> NextAsync(int waitMs = 0)
    {
        var reply = await AskAsync(waitMs);
        Assert.That(reply.IsOk, $"{reply.Code}: {reply.Message}");
        Cursor = reply.Value.Cursor;
        _events.AddRange(reply.Value.Events);
        return reply.Value;
    }

    /// <summary>Batches until there is nothing more.</summary>
    public async Task<FeedReader> ToTheEndAsync()
    {
        while (!(await NextAsync()).IsCaughtUp) { }
        return this;
    }
}
