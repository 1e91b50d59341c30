using System.Text;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// The path as the client sent it, cut at its slashes, each part percent-decoded exactly once. The server's own decoded path can't be used:
/// it leaves <c>%2F</c> as it is (so that <c>%252F</c> looks the same), and takes <c>%2E%2E</c> for "one up", which
/// would turn the deletion of a document named <c>..</c> into that of its index.
/// </summary>
internal static class RawPath
{
    public static string[] Parts(HttpContext http)
    {
        var target = http.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";
        var query = target.IndexOfAny(['?', '#']);
        if (query >= 0)
            target = target[..query];
        if (!target.StartsWith('/'))
        {
            // The absolute form, as sent to proxies: http://host/path.
            var host = target.IndexOf("://", StringComparison.Ordinal);
            var slash = host < 0 ? -1 : target.IndexOf('/', host + 3);
            target = slash < 0 ? "/" : target[slash..];
        }
        var parts = target[1..].Split('/');
        // One slash at the end names the same thing.
        if (parts.Length > 1 && parts[^1] == "")
            parts = parts[..^1];
        for (var i = 0; i < parts.Length; i++)
            parts[i] = Decode(parts[i]);
        return parts;
    }

    /// <summary>One part of a path, percent-decoded once. A plus sign stays one.</summary>
    /// <exception cref="RefusedException">Half an escape, or bytes that are not UTF-8.</exception>
    public static string Decode(string part)
    {
        if (!part.Contains('%') && Ascii.IsValid(part))
            return part;
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(part.Length)];
        var length = 0;
        for (var i = 0; i < part.Length; i++)
        {
            if (part[i] == '%')
            {
                if (i + 2 >= part.Length)
                    throw Wrong(part, "ends in half a percent escape");
                if (!char.IsAsciiHexDigit(part[i + 1]) || !char.IsAsciiHexDigit(part[i + 2]))
                    throw Wrong(
                        part,
                        "has a `%` without two hexadecimal digits behind it (write `%25` for a percent sign)"
                    );
                bytes[length++] = Convert.ToByte(part.Substring(i + 1, 2), 16);
                i += 2;
            }
            else if (char.IsAscii(part[i]))
                bytes[length++] = (byte)part[i];
            else
            {
                // A server that decodes header bytes hands on text: a whole code point at a time.
                var rune = Rune.GetRuneAt(part, i);
                length += rune.EncodeToUtf8(bytes.AsSpan(length));
                i += rune.Utf16SequenceLength - 1;
            }
        }
        return Utf8.IsValid(bytes.AsSpan(0, length))
            ? Encoding.UTF8.GetString(bytes, 0, length)
            : throw Wrong(part, "is not UTF-8 once percent-decoded");
    }

    private static RefusedException Wrong(string part, string why) =>
        new("bad_request", $"the part `{part}` of the path {why}");
}
