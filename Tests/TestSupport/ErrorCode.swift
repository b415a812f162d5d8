internal import BTreeKV
package import Pager

/// The code of the error that a call throws, of either layer; nil when it throws none.
///
/// An error that is neither layer's has its description for a code, which no test expects.
package func errorCode(_ body: () throws -> Void) -> PagerError.Code? {
  do {
    try body()
    return nil
  } catch let error as PagerError {
    return error.code
  } catch let error as DatabaseError {
    return PagerError.Code(name: error.code.name)
  } catch {
    return PagerError.Code(name: "\(error)")
  }
}
