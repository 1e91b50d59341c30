using System.Runtime.CompilerServices;
using Miroir.Ports;
using Miroir.Simulation.Kernel;

namespace Miroir.Simulation.Network;

/// <summary>A stream of answers over the network: each item crosses it by a call of its own, in order.</summary>
public static class SimStream
{
    public static async IAsyncEnumerable<T> Open<T>(
        SimNetwork network,
        SimProcess from,
        string to,
        string what,
        Func<object, CancellationToken, IAsyncEnumerable<T>> open,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        Session<T>? session = null;
        void Close()
        {
            // Whoever served it notices a little later, or goes on to its end unheard.
            if (session is { } opened && !network.Kernel.Chance(0.1))
            {
                network.Kernel.After(network.Kernel.Duration(0.1, 50), opened.Close);
            }
        }

        var broken = from.OnKill(Close);
        try
        {
            while (true)
            {
                var (hasItem, item) = await network.Call(
                    from,
                    to,
                    what,
                    false,
                    async (service, _) =>
                    {
                        // A process started since knows nothing of streams that its predecessor served.
                        if (session is { } other && !ReferenceEquals(other.Service, service))
                        {
                            throw new UnreachableException(to, "the stream's server is gone");
                        }
                        session ??= new Session<T>(network.Find(to)!.Process, service, open);
                        return await session.Next();
                    },
                    cancel
                );
                if (!hasItem)
                {
                    yield break;
                }
                yield return item!;
            }
        }
        finally
        {
            from.ForgetOnKill(broken);
            Close();
        }
    }

    private sealed class Session<T>
    {
        private readonly SimProcess _process;
        private readonly CancellationTokenSource _stop = new();
        private readonly IAsyncEnumerator<T> _items;
        private bool _isMoving;
        private bool _isClosed;

        public Session(SimProcess process, object service, Func<object, CancellationToken, IAsyncEnumerable<T>> open)
        {
            _process = process;
            Service = service;
            _items = open(service, _stop.Token).GetAsyncEnumerator(_stop.Token);
        }

        public object Service { get; }

        public async Task<(bool, T?)> Next()
        {
            if (_isMoving || _isClosed)
            {
                throw new UnreachableException(_process.Name, "the stream is broken");
            }
            _isMoving = true;
            try
            {
                return await _items.MoveNextAsync() ? (true, _items.Current) : (false, default);
            }
            finally
            {
                _isMoving = false;
                if (_isClosed)
                {
                    await _items.DisposeAsync();
                }
            }
        }

        public void Close() =>
            _process.Post(() =>
            {
                if (_isClosed)
                {
                    return;
                }
                _isClosed = true;
                _stop.Cancel();
                if (!_isMoving)
                {
                    _ = _items.DisposeAsync().AsTask();
                }
            });
    }
}
