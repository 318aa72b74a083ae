//! The queue through which Python learns of anything: items under a lock, and an eventfd.
//!
//! The eventfd is written only when the queue was empty, and cleared when it is empty again, so that a
//! busy reader costs no system calls and a sleeping one is woken once.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

struct Queue<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

/// A queue from tokio's threads (or any others) to one reader that polls an eventfd.
pub struct EventQueue<T> {
    queue: Mutex<Queue<T>>,
    bytes_max: usize,
    space: Notify,
    fd: OwnedFd,
}

impl<T: Send> EventQueue<T> {
    /// An empty queue; [`EventQueue::push_bounded`] waits while it holds `bytes_max` or more.
    pub fn new(bytes_max: usize) -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let queue = Mutex::new(Queue { items: VecDeque::new(), bytes: 0 });
        Ok(EventQueue { queue, bytes_max, space: Notify::new(), fd })
    }
    /// The descriptor to poll: readable while the queue is not empty.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
    /// Appends an item that takes `bytes`, whatever the queue holds: for events that must not wait
    /// and whose number is bounded by something else.
    pub fn push(&self, item: T, bytes: usize) {
        let mut queue = self.lock();
        queue.items.push_back((item, bytes));
        queue.bytes += bytes;
        if queue.items.len() == 1 {
            self.signal();
        }
    }
    /// Appends an item once the queue holds less than its limit.
    pub async fn push_bounded(&self, item: T, bytes: usize) {
        loop {
            let space = self.space.notified();
            let mut space = std::pin::pin!(space);
            space.as_mut().enable();
            if self.lock().bytes < self.bytes_max {
                return self.push(item, bytes);
            }
            space.await;
        }
    }
    /// Takes up to `max` items.
    pub fn drain(&self, max: usize) -> Vec<T> {
        let mut queue = self.lock();
        let count = queue.items.len().min(max);
        let mut bytes = 0;
        let taken = queue.items.drain(..count).map(|(item, size)| (bytes += size, item).1).collect();
        queue.bytes -= bytes;
        if queue.items.is_empty() {
            self.clear();
        }
        drop(queue);
        self.space.notify_waiters();
        taken
    }
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is eight bytes long and lives through the call; the descriptor is ours.
        // A failure can only be EAGAIN at 2^64 - 2 unread signals, when the reader is awake anyway.
        let _ = unsafe { libc::write(self.fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
    fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: as above. EAGAIN says that there was nothing to clear.
        let _ = unsafe { libc::read(self.fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(fd: RawFd) -> bool {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd that lives through the call.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn the_descriptor_is_readable_while_items_wait() {
        let queue = EventQueue::new(100).expect("a descriptor");
        assert!(!readable(queue.fd()));
        (0..3).for_each(|i| queue.push(i, 1));
        assert!(readable(queue.fd()));
        assert_eq!(queue.drain(2), vec![0, 1]);
        assert!(readable(queue.fd()));
        assert_eq!(queue.drain(2), vec![2]);
        assert!(!readable(queue.fd()));
    }

    #[tokio::test]
    async fn a_full_queue_holds_writers_back() {
        let queue = EventQueue::new(10).expect("a descriptor");
        queue.push_bounded(1, 10).await;
        let mut second = std::pin::pin!(queue.push_bounded(2, 10));
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        assert_eq!(queue.drain(10), vec![1]);
        second.await;
        assert_eq!(queue.drain(10), vec![2]);
    }
}
