using Microsoft.FSharp.Core;
using Miroir.Chaos.Processes;
using Miroir.Scripting;

namespace Miroir.Chaos.Entropy;

/// <summary>A consumer of the index's change feed, which is to hear of clients' writes and of nothing else.</summary>
internal sealed class FeedWatch(Uri router, string index) : IDisposable
{
    private readonly MiroirClient _client = new(router, FSharpOption<string>.None, TimeSpan.FromSeconds(30));
    private FSharpOption<string> _cursor = FSharpOption<string>.None;

    /// <summary>Hears of nothing that was written before this.</summary>
    public async Task BeginAsync() => await ReadAsync(fromNow: true);

    /// <summary>All that came since <see cref="BeginAsync"/>, or since the last time.</summary>
    public async Task<List<ChangeView>> TakeAsync()
    {
        var events = new List<ChangeView>();
        ChangeBatch batch;
        do
        {
            batch = await ReadAsync(fromNow: false);
            events.AddRange(batch.Results);
        } while (!batch.CaughtUp);
        return events;
    }

    private async Task<ChangeBatch> ReadAsync(bool fromNow)
    {
        var request = new ChangesRequest(
            index,
            fromNow ? FSharpOption<string>.None : _cursor,
            fromNow,
            FSharpOption<long>.None,
            false,
            TimeSpan.Zero
        );
        var batch = (await Changes.read(_client, request, CancellationToken.None)).Demand("the change feed");
        _cursor = FSharpOption<string>.Some(batch.Cursor);
        return batch;
    }

    public void Dispose() => ((IDisposable)_client).Dispose();
}
