using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>A shard's file can't be used as it is; the message says why, and what to do.</summary>
internal class ShardFileException(string message) : Exception(message);

/// <summary>
/// A shard's file is not what was written last: it does not hold what it must, or it is another one. Nothing in it can
/// be trusted.
/// </summary>
internal sealed class DamagedFileException(string message) : ShardFileException(message);

/// <summary>See <see cref="RottenBody"/>. The rest of the file is none the worse for it.</summary>
internal sealed class RottenBodyException(Entry entry) : ShardFileException(RottenBody.Message(entry));
