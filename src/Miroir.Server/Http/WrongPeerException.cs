using Miroir.Ports;

namespace Miroir.Server.Http;

/// <summary>Somebody answers at the address, but not the one who was asked. Nothing was done there.</summary>
public sealed class WrongPeerException(string peer, string why, Exception? inner = null)
    : UnreachableException(peer, why, inner);
