namespace Miroir.Server.Api;

/// <summary>A wait's limit: ends with the client's patience or after a number of milliseconds.</summary>
internal sealed class TimeLimit : IDisposable
{
    private readonly CancellationTokenSource limit;
    private readonly CancellationTokenSource either;

    public TimeLimit(int milliseconds, TimeProvider time, CancellationToken cancel)
    {
        limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(milliseconds), time);
        either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
    }

    public CancellationToken Token => either.Token;

    /// <summary>True where it is the time that is over.</summary>
    public bool IsOver => limit.IsCancellationRequested;

    public void Dispose()
    {
        either.Dispose();
        limit.Dispose();
    }
}
