using System.Reflection;
using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>Bounds of the document API, and what it takes from the world.</summary>
public sealed record ApiOptions
{
    /// <summary>Gives operation ids.</summary>
    public required IEntropy Entropy { get; init; }

    /// <summary>Dates of tasks, and every wait's limit.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Asks other routers for their tasks. Null: tasks of other routers are not looked up.</summary>
    public HttpMessageInvoker? Peers { get; init; }

    /// <summary>Bytes of a JSON body at most; a larger one is answered <c>payload_too_large</c>.</summary>
    public long MaxJsonBodyBytes { get; init; } = 100_000_000;

    /// <summary>Bytes of one document at most, and so of a line of an NDJSON body, which has no bound as a whole.</summary>
    public int MaxDocumentBytes { get; init; } = 16 << 20;

    /// <summary>Levels of objects and arrays in a document at most.</summary>
    public int MaxDepth { get; init; } = 64;

    /// <summary>Documents handed on in one call at most.</summary>
    public int BatchDocuments { get; init; } = 500;

    /// <summary>Bytes of documents handed on in one call at most (one document may be larger).</summary>
    public int BatchBytes { get; init; } = 1 << 20;

    /// <summary>Calls of one request that are on their way at once.</summary>
    public int BatchesInFlight { get; init; } = 4;

    /// <summary>Longest wait for one call's writes, in milliseconds; then they are Unknown.</summary>
    public int WriteTimeoutMs { get; init; } = 30_000;

    /// <summary>Longest wait for one read, or one page of a list, in milliseconds.</summary>
    public int ReadTimeoutMs { get; init; } = 10_000;

    /// <summary>Longest wait for what the coordinator is asked, and for the table to show it, in milliseconds.</summary>
    public int CoordinatorTimeoutMs { get; init; } = 10_000;

    /// <summary>Longest time in which all documents of an index are deleted, in milliseconds.</summary>
    public int DeleteAllTimeoutMs { get; init; } = 600_000;

    /// <summary>Documents of a page asked for at a time; an answer of any length is made of such pages.</summary>
    public int PageDocuments { get; init; } = 1000;

    /// <summary>Failed documents that a task's error names at most; the rest is counted.</summary>
    public int NamedFailures { get; init; } = 20;

    /// <summary>Events of one answer of the change feed at most; a stream that is followed has no such bound.</summary>
    public int FeedEvents { get; init; } = 10_000;

    /// <summary>Events that are read of the change feed at a time; an answer is made of such batches.</summary>
    public int FeedBatchEvents { get; init; } = 1000;

    /// <summary>The same where each event carries its document, which may be large.</summary>
    public int FeedBatchDocuments { get; init; } = 100;

    /// <summary>Longest wait for a first event that a client may ask for, in milliseconds.</summary>
    public int FeedWaitMs { get; init; } = 60_000;

    /// <summary>Longest silence of a stream that is followed, in milliseconds; then comes a line with its cursor.</summary>
    public int FeedHeartbeatMs { get; init; } = 15_000;

    /// <summary>How long a stream is followed, in milliseconds; then it ends, and the client asks again.</summary>
    public int FeedFollowMs { get; init; } = 3_600_000;

    /// <summary>Longest wait for a client to take what it asked for, in milliseconds; then its connection is cut.</summary>
    public int FeedClientTimeoutMs { get; init; } = 60_000;

    /// <summary>Requests that wait for events or follow them at once, at most.</summary>
    public int FeedWaiting { get; init; } = 1000;

    /// <summary>What <c>/version</c> tells.</summary>
    public string Version { get; init; } = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3) ?? "0.0.0";
}
