using System.Collections.Concurrent;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// How an older copy of a shard's file is known, although it is whole and the registered store's: each file carries the
/// stamp that it was given last, and node.db knows which one that is.
/// </summary>
/// <remarks>
/// A file is stamped anew when it is opened first in a process's life, and from time to time while it is written. node.db
/// has the stamp that the file carries and the new one, durably, before the new one goes into the file; and only the new
/// one once it is there, durably. So a crash at any step leaves the file with one of the two, and a file with another was
/// copied before: it lacks what was acknowledged since. A stamp that can't be given (a full disk) is left out: the old
/// one still holds.
/// </remarks>
internal sealed class Sessions(Func<Guid> newGuid)
{
    private readonly ConcurrentDictionary<ShardId, (Guid Last, Guid Next)> _expected = new();
    private CommitThread? _commits;

    /// <summary>What node.db says, before anything is opened.</summary>
    public void Load(ShardId store, Guid last, Guid next) => _expected[store] = (last, next);

    public void Start(CommitThread commits) => _commits = commits;

    /// <summary>A store made anew has a file that was never stamped.</summary>
    public void Forget(ShardId store) => _expected.TryRemove(store, out _);

    /// <summary>Guid.Empty: the file was never stamped.</summary>
    public bool Accepts(ShardId store, Guid found)
    {
        _expected.TryGetValue(store, out var expected);
        return found == expected.Last || found == expected.Next || Mutants.olderCopyServes();
    }

    /// <summary>The stamp to give a file that carries another, which node.db expects from now on; null: not now.</summary>
    public Guid? Begin(ShardId store, Guid found)
    {
        var next = newGuid();
        try
        {
            var job = Post(store, found, next);
            job?.Answer.GetAwaiter().GetResult();
            if (job is null)
                return null;
        }
        catch (Exception e) when (e is SqliteException or IOException or ObjectDisposedException)
        {
            return null;
        }

        _expected[store] = (found, next);
        return next;
    }

    /// <summary>The file carries it, durably.</summary>
    public void Given(ShardId store, Guid stamp)
    {
        _expected[store] = (stamp, stamp);
        try
        {
            // Nobody waits for it: until it is there, the stamp before is taken as well.
            Post(store, stamp, stamp)
                ?.Answer.ContinueWith(static answer => answer.Exception, TaskContinuationOptions.OnlyOnFaulted);
        }
        catch (ObjectDisposedException)
        {
            // The node closes.
        }
    }

    private CommitJob<bool, bool>? Post(ShardId store, Guid last, Guid next)
    {
        var job = new CommitJob<bool, bool>(
            database =>
            {
                NodeDatabase.Expect(database, store, last, next);
                return true;
            },
            static isDone => isDone
        );
        return _commits?.TryPost(job) == true ? job : null;
    }
}
