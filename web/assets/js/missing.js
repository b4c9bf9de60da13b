// The page of what is not there: no more than the header.
import { refreshStatus } from "./ui.js";
import { link } from "./link.js";

refreshStatus().then(() => { link.value = "connected"; }, () => { link.value = "offline"; });
