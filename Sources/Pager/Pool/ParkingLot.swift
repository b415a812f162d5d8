/// Where threads wait for a page that another one is reading in: a few locks shared by all pages.
///
/// Only reading in wakes sleepers at once. Whoever waits for a short exclusive hold instead looks
/// again by itself after a millisecond, which spares the writer a fence a page.
final class ParkingLot: Sendable {
  private let stripes = (0..<32).map { _ in ConditionLock() }

  /// Sleeps until woken, or for a millisecond, if `stillBusy` says so once the stripe is locked.
  func park(_ id: PageID, while stillBusy: () -> Bool) {
    let stripe = stripes[Int(id.rawValue % UInt64(stripes.count))]
    stripe.lock()
    defer { stripe.unlock() }
    if stillBusy() { _ = stripe.wait(timeoutNanoseconds: 1_000_000) }
  }

  /// Wakes whoever waits for the page.
  func wake(_ id: PageID) {
    let stripe = stripes[Int(id.rawValue % UInt64(stripes.count))]
    stripe.lock()
    stripe.broadcast()
    stripe.unlock()
  }
}
