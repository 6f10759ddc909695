//! The mesh's connections over turmoil's network.

use std::io;
use std::net::SocketAddr;

use settee_cluster::mesh::{Connecting, Connection, Ear, Listening, Net};
use turmoil::net::{TcpListener, TcpStream};

/// See the module.
#[derive(Debug)]
pub struct SimNet;

struct SimEar(TcpListener);

impl Net for SimNet {
    fn listen(&self, at: SocketAddr) -> Listening<'_> {
        Box::pin(async move {
            let ear: Box<dyn Ear> = Box::new(SimEar(TcpListener::bind(at).await?));
            Ok(ear)
        })
    }

    fn connect(&self, to: String) -> Connecting<'_> {
        Box::pin(async move { Ok(Connection::new(TcpStream::connect(to).await?)) })
    }
}

impl Ear for SimEar {
    fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&self) -> Connecting<'_> {
        Box::pin(async move { Ok(Connection::new(self.0.accept().await?.0)) })
    }
}
