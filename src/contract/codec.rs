//! How messages are encoded: as prost does it, in buffers of the size that nearly all of them have.
//!
//! tonic's own begin with 8 KiB for each call and direction, which costs more than what is written into them. A larger
//! message makes its buffer grow.
//!
//! Absent: any other encoding.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// In bytes. Allocators keep pieces of up to 1 KiB at hand.
const BUFFER: usize = 1024;
/// After how many bytes a stream lets others write; tonic's own number.
const YIELD: usize = 32 * 1024;

/// The codec of every method of the contract.
#[derive(Debug)]
pub(crate) struct SmallBuffers<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBuffers<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallBuffers<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER, YIELD)
}
