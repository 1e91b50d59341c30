using System.Text;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Names that clients give.</summary>
internal static class IndexNames
{
    /// <summary>A uid is a folder's name on every node that holds some of the index.</summary>
    private const int MaxUid = 200;

    private const int MaxPrimaryKeyBytes = 512;

    public static string CheckUid(string uid) =>
        uid.Length is >= 1 and <= MaxUid && uid.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
            ? uid
            : throw new RefusedException(
                "invalid_index_uid",
                $"an index uid is 1 to {MaxUid} letters (a-z, A-Z), digits, hyphens and underscores, not `{JsonText.Shown(uid, 100)}`"
            );

    public static string CheckPrimaryKey(string field) =>
        field != ""
        && Encoding.UTF8.GetByteCount(field) <= MaxPrimaryKeyBytes
        && !field.StartsWith("_miroir_", StringComparison.Ordinal)
            ? field
            : throw new RefusedException(
                "invalid_index_primary_key",
                $"a primary key is the name of a field, 1 to {MaxPrimaryKeyBytes} bytes, and does not begin with `_miroir_`; `{JsonText.Shown(field, 100)}` is none"
            );

    /// <summary>The index as this router knows it.</summary>
    public static IndexInfo Known(IDocuments documents, string uid)
    {
        var index = documents.Table.TryIndex(CheckUid(uid));
        return index.IsSome ? index.Value : throw new RefusedException("index_not_found", $"there is no index `{uid}`");
    }

    public static Key CheckKey(string id)
    {
        var key = Key.Parse(id);
        return key.IsOk ? key.ResultValue : throw new RefusedException("invalid_document_id", key.ErrorValue);
    }
}
