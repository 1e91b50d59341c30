using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Pages of the change log in a shard's file, on a reading connection.</summary>
internal sealed class ChangeReader(Database database)
{
    private readonly Statement _floor = database.Prepare(ChangeTable.SelectFloor);
    private readonly Statement _floors = database.Prepare(ChangeTable.SelectFloors);
    private readonly Statement _changes = database.Prepare(
        """
        SELECT term, clock, key, version_term, version_clock, deleted, op FROM changes
        WHERE (term, clock) > (?1, ?2) AND (term, clock) <= (?3, ?4) AND hash BETWEEN ?5 AND ?6
        ORDER BY term, clock, hash, key
        """
    );

    /// <summary>In a snapshot of the caller's.</summary>
    public ChangesPage Page(ChangesCommand command)
    {
        var floor = Floor(command.Range);
        var after = floor.CompareTo(command.After) > 0 ? floor : command.After;
        _changes
            .Bind(1, after.Term)
            .Bind(2, after.Clock)
            .Bind(3, command.Through.Term)
            .Bind(4, command.Through.Clock)
            .Bind(5, ShardSchema.ToStored(command.Range.Lo))
            .Bind(6, ShardSchema.ToStored(command.Range.Last));
        var page = new List<Change>();
        try
        {
            while (_changes.Step())
            {
                var position = new DocumentVersion(_changes.Int64(0), _changes.Int64(1));
                if (page.Count >= command.MaxChanges && !position.Equals(page[^1].Position))
                    return new ChangesPage([.. page], false, floor);
                var key = Key.OfBytes(_changes.Text(2));
                page.Add(
                    new Change(
                        position,
                        key,
                        _changes.IsNull(3) ? position : new DocumentVersion(_changes.Int64(3), _changes.Int64(4)),
                        _changes.Int64(5) != 0,
                        ShardReader.OperationId(_changes.Blob(6), key)
                    )
                );
            }
        }
        finally
        {
            _changes.Reset();
        }

        return new ChangesPage([.. page], true, floor);
    }

    private DocumentVersion Floor(HashRange range)
    {
        try
        {
            if (!_floor.Step())
                throw new DamagedFileException($"'{database.File}' has no counters.");
            var ofAll = new DocumentVersion(_floor.Int64(0), _floor.Int64(1));
            var ofParts = ChangeTable.FloorsOf(_floors).Over(range);
            return ofParts.CompareTo(ofAll) > 0 ? ofParts : ofAll;
        }
        finally
        {
            _floor.Reset();
            _floors.Reset();
        }
    }
}
