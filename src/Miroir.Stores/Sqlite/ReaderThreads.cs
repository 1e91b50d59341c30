namespace Miroir.Stores.Sqlite;

/// <summary>Where reads run: off the caller's thread, so many at a time; the others wait for their turn.</summary>
internal sealed class ReaderThreads(int max) : IDisposable
{
    private readonly SemaphoreSlim _places = new(max);

    public async Task<T> Run<T>(Func<T> read, CancellationToken cancel)
    {
        await _places.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            // Off the caller's thread, which may have other nodes to ask meanwhile.
            return await Task.Run(read, cancel).ConfigureAwait(false);
        }
        finally
        {
            _places.Release();
        }
    }

    public void Dispose() => _places.Dispose();
}
