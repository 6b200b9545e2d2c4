"""Token decoder of LUNA: queries for single tokens, made from their places, attend to the encoded patches."""

from torch import Tensor, nn

from eegfm.encoders.decoders import TokenDecoder
from eegfm.encoders.luna.layers import CrossAttention, FeedForward, xavier_linears
from eegfm.encoders.tokens import Tokens, take


class LunaDecoder(TokenDecoder):
    """One pre-norm decoder layer whose queries are places and whose keys are the Q vectors of a patch; then a network.

    As published, but for two things. Queries are places alone, without embeddings of channel names: any montage can
    be asked for. And they do not attend to each other: that would cost the square of the channels, and they hold
    nothing of the signal.

    Args:
        n_queries: Vectors Q that the encoder keeps of each patch.
        d_token: Width E of one of them, and of a place.
        n_values: Values K of a token.
    """

    def __init__(self, n_queries: int, d_token: int, n_values: int) -> None:
        super().__init__()
        self.n_queries = n_queries
        self.query_norm = nn.LayerNorm(d_token)
        self.attention = CrossAttention(d_token)
        self.feed_forward_norm = nn.LayerNorm(d_token)
        self.feed_forward = FeedForward(d_token, 4 * d_token, d_token)
        self.final_norm = nn.LayerNorm(d_token)
        self.network = FeedForward(d_token, 4 * d_token, n_values)
        xavier_linears(self)

    def forward(self, encoded: Tensor, tokens: Tokens, index: Tensor) -> Tensor:
        """Predict the tokens asked for from the patch that each lies in; see the base class."""
        B, C, P = encoded.shape[0], tokens.n_rows, tokens.n_patches
        places = tokens.position.expand(B, -1, -1)
        E = places.shape[2]
        by_patch = self.query_norm(places).view(B, C, P, E).transpose(1, 2).flatten(0, 1)
        latents = encoded.reshape(B * P, self.n_queries, E)
        gathered: Tensor = self.attention(by_patch, latents, latents)
        by_token = gathered.view(B, P, C, E).transpose(1, 2).flatten(1, 2)
        x = take(places, index) + take(by_token, index)
        x = x + self.feed_forward(self.feed_forward_norm(x))
        predicted: Tensor = self.network(self.final_norm(x))
        return predicted
