using Miroir.Ports;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.Coordination;

/// <summary>One command at a time: each reads the table, decides and commits.</summary>
internal sealed class CommandQueue
{
    private const int MaxWaiting = 4_096;

    private readonly Bulkhead _gate = new(1, MaxWaiting);

    /// <exception cref="UnreachableException">Too many wait already.</exception>
    public async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> command, CancellationToken cancel)
    {
        if (!await _gate.Enter(cancel))
            throw new UnreachableException("coordinator", $"{MaxWaiting} commands wait already: try later");
        try
        {
            return await command(cancel);
        }
        finally
        {
            _gate.Leave();
        }
    }
}
